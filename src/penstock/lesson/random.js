// The same random numbers as penstock in Python, bit for bit: keys by BLAKE2b, words by Philox4x32-10, values by the
// transforms whose constants Python put into the page's data. Every float32 operation is rounded on its own (fround).

const LAWS = DATA.laws;
const f32 = Math.fround;

// RFC 7693.
const BLAKE_IV = [
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
];
const BLAKE_SIGMA = (
  "0123456789abcdef ea489fd61c02b753 b8c052fdae367194 7931dcbe265a40f8 905724afe1bc683d 2c6a0b834d75fe19 c51fed4a0763928b db7ec13950f4862a 6fe9b308c2d714a5 a2847615fb9e3cd0"
).split(" ").map((row) => [...row].map((digit) => parseInt(digit, 16)));
const BLAKE_MIXES = [
  [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14],
];
const BITS64 = (1n << 64n) - 1n;
const rotated = (value, by) => ((value >> by) | (value << (64n - by))) & BITS64;
const bytesOf = (number, count) => Array.from({ length: count }, (_, i) => Number((BigInt(number) >> BigInt(8 * i)) & 255n));
const wordOf = (bytes, at) => bytes.slice(at, at + 8).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte ?? 0), 0n);

function compressed(h, block, counted, last) {
  const m = Array.from({ length: 16 }, (_, i) => wordOf(block, 8 * i));
  const v = [...h, ...BLAKE_IV];
  v[12] ^= BigInt(counted);
  if (last) v[14] ^= BITS64;
  for (let round = 0; round < 12; round += 1) {
    BLAKE_MIXES.forEach(([a, b, c, d], i) => {
      const s = BLAKE_SIGMA[round % 10];
      v[a] = (v[a] + v[b] + m[s[2 * i]]) & BITS64; v[d] = rotated(v[d] ^ v[a], 32n);
      v[c] = (v[c] + v[d]) & BITS64; v[b] = rotated(v[b] ^ v[c], 24n);
      v[a] = (v[a] + v[b] + m[s[2 * i + 1]]) & BITS64; v[d] = rotated(v[d] ^ v[a], 16n);
      v[c] = (v[c] + v[d]) & BITS64; v[b] = rotated(v[b] ^ v[c], 63n);
    });
  }
  return h.map((word, i) => word ^ v[i] ^ v[i + 8]);
}

// penstock.randomness.key_for(seed, name): [low, high] 32 bits of the key.
const keys = new Map();
function keyFor(seed, name) {
  const label = `${seed} ${name}`;
  if (!keys.has(label)) {
    const text = [...new TextEncoder().encode(name)];
    const bytes = [...bytesOf(seed, 8), ...bytesOf(text.length, 8), ...text];
    const person = [...new TextEncoder().encode(LAWS.person)];
    let h = [...BLAKE_IV];
    h[0] ^= 0x01010008n;
    h[6] ^= wordOf(person, 0);
    h[7] ^= wordOf(person, 8);
    for (let at = 0; at < bytes.length; at += 128) {
      const block = bytes.slice(at, at + 128), last = at + 128 >= bytes.length;
      h = compressed(h, [...block, ...new Array(128 - block.length).fill(0)], at + block.length, last);
    }
    keys.set(label, [Number(h[0] & 0xffffffffn), Number(h[0] >> 32n)]);
  }
  return keys.get(label);
}

// High 32 bits of the product of two 32-bit words.
function high(a, b) {
  const al = a & 0xffff, ah = a >>> 16, bl = b & 0xffff, bh = b >>> 16;
  const middle = (Math.imul(ah, bl) >>> 0) + (Math.imul(al, bl) >>> 16), cross = (Math.imul(al, bh) >>> 0) + (middle & 0xffff);
  return (Math.imul(ah, bh) + (middle >>> 16) + (cross >>> 16)) >>> 0;
}

// The four words of one counter, 16 places apart.
function block(found, at, counter, low, top) {
  let c0 = counter, c1 = 0, c2 = 0, c3 = 0, k0 = low, k1 = top;
  for (let round = 0; round < 10; round += 1) {
    const h0 = high(0xd2511f53, c0), l0 = Math.imul(0xd2511f53, c0), h1 = high(0xcd9e8d57, c2), l1 = Math.imul(0xcd9e8d57, c2);
    c0 = (h1 ^ c1 ^ k0) >>> 0; c1 = l1 >>> 0; c2 = (h0 ^ c3 ^ k1) >>> 0; c3 = l0 >>> 0;
    k0 = (k0 + 0x9e3779b9) >>> 0; k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  found[at] = c0; found[at + 16] = c1; found[at + 32] = c2; found[at + 48] = c3;
}

// One word an element of a parameter: element 64 g + 16 w + j is word w of counter 16 g + j.
function words([low, top], count) {
  const found = new Int32Array(Math.ceil(count / 64) * 64);
  for (let group = 0; group < found.length; group += 64) {
    for (let lane = 0; lane < 16; lane += 1) block(found, group + lane, group / 4 + lane, low, top);
  }
  return found.subarray(0, count);
}

// Each law is made once, with its constants in variables of its own: read out of lists they would take longer than
// all the arithmetic. Products go two by two.
function centred({ step, numerator: [p, q, r, u], denominator: [a, b, c, d] }) {
  return (s) => {
    const x = f32(f32(s | 1) * step), square = f32(x * x);
    const above = f32(f32(f32(p - square) * f32(q - square)) * f32(f32(r - square) * f32(u - square)));
    const under = f32(f32(f32(a - square) * f32(b - square)) * f32(f32(c - square) * f32(d - square)));
    return f32(f32(above / under) * x);
  };
}

const asFloat = new Float32Array(1), asBits = new Int32Array(asFloat.buffer);

function tailed({ log, factor, numerator: [p, q, r, u], denominator: [a, b, c] }) {
  const top = log.length - 1;
  return (s) => {
    asFloat[0] = f32(s ^ (s >> 31) ^ 0x7fffffff) + 0.5;
    const bits = asBits[0];
    asBits[0] = (bits & 0x7fffff) | 0x3f800000;
    const d = f32(asFloat[0] - 1.5);
    let depth = f32(log[top] * d);
    for (let i = top - 1; i > 0; i -= 1) depth = f32(f32(depth + log[i]) * d);
    depth = f32(f32(LAWS.exponentOf2To32 - f32(bits >> 23)) + f32(depth + log[0]));
    const above = f32(f32(f32(f32(depth + p) * f32(depth + q)) * f32(f32(depth + r) * f32(depth + u))) * factor);
    const value = f32(above / f32(f32(f32(depth + a) * f32(depth + b)) * f32(depth + c)));
    return s < 0 ? -value : value;
  };
}

const centre = centred(LAWS.centre), tail = tailed(LAWS.tail), { centreEnd } = LAWS;
const TRANSFORMS = {
  uniform: (s) => f32(f32(f32(s >> 8) + 0.5) * f32(2 ** -23)),
  normal: (s) => ((s ^ (s >> 31)) > centreEnd ? tail(s) : centre(s)),
  truncated_normal: centred(LAWS.truncated),
};

// penstock.randomness.fill: raw values of a parameter, kept, since most figures scale the same ones. The oldest go
// when there are more than 4 million.
const raws = new Map();
let kept = 0;
function raw(law, seed, name, count) {
  const label = `${law} ${seed} ${name} ${count}`;
  if (!raws.has(label)) {
    const transform = TRANSFORMS[law], bits = words(keyFor(seed, name), count), values = new Float32Array(count);
    for (let i = 0; i < count; i += 1) values[i] = transform(bits[i]);
    raws.set(label, values);
    kept += count;
    for (const [oldest, { length }] of raws) {
      if (kept <= 4e6 || oldest === label) break;
      raws.delete(oldest);
      kept -= length;
    }
  }
  return raws.get(label);
}

// scale * raw, each rounded to float32 as in Python, in the float64 array that the network needs.
function drawn(law, seed, name, count, scaling) {
  const factor = f32(scaling), from = raw(law, seed, name, count), values = new Float64Array(count);
  for (let i = 0; i < count; i += 1) values[i] = f32(from[i] * factor);
  return values;
}
