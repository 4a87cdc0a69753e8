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
  const middle = ah * bl + ((al * bl) >>> 16), cross = al * bh + (middle & 0xffff);
  return (ah * bh + Math.floor(middle / 65536) + Math.floor(cross / 65536)) >>> 0;
}

// One word an element of a parameter: element 64 g + 16 w + j is word w of counter 16 g + j.
function words([low, top], count) {
  const found = new Int32Array(Math.ceil(count / 64) * 64);
  for (let group = 0; group < found.length; group += 64) {
    for (let lane = 0; lane < 16; lane += 1) {
      let c0 = group / 4 + lane, c1 = 0, c2 = 0, c3 = 0, k0 = low, k1 = top;
      for (let round = 0; round < 10; round += 1) {
        const h0 = high(0xd2511f53, c0), l0 = Math.imul(0xd2511f53, c0), h1 = high(0xcd9e8d57, c2), l1 = Math.imul(0xcd9e8d57, c2);
        c0 = (h1 ^ c1 ^ k0) >>> 0; c1 = l1 >>> 0; c2 = (h0 ^ c3 ^ k1) >>> 0; c3 = l0 >>> 0;
        k0 = (k0 + 0x9e3779b9) >>> 0; k1 = (k1 + 0xbb67ae85) >>> 0;
      }
      const at = group + lane;
      found[at] = c0; found[at + 16] = c1; found[at + 32] = c2; found[at + 48] = c3;
    }
  }
  return found.subarray(0, count);
}

// (a - square)(b - square)(c - square)(d - square), two by two.
const below = (roots, square) =>
  f32(f32(f32(roots[0] - square) * f32(roots[1] - square)) * f32(f32(roots[2] - square) * f32(roots[3] - square)));

function centre({ step, numerator, denominator }, s) {
  const x = f32(f32(s | 1) * step), square = f32(x * x);
  return f32(f32(below(numerator, square) / below(denominator, square)) * x);
}

const buffer = new DataView(new ArrayBuffer(4));

function tail({ log, factor, numerator, denominator }, s) {
  const t = f32(f32(s ^ (s >> 31) ^ 0x7fffffff) + 0.5);
  buffer.setFloat32(0, t);
  const bits = buffer.getInt32(0);
  buffer.setInt32(0, (bits & 0x7fffff) | 0x3f800000);
  const d = f32(buffer.getFloat32(0) - 1.5);
  let depth = f32(log.at(-1) * d);
  for (let i = log.length - 2; i > 0; i -= 1) depth = f32(f32(depth + log[i]) * d);
  depth = f32(f32(LAWS.exponentOf2To32 - f32(bits >> 23)) + f32(depth + log[0]));
  const [p, q, r, u] = numerator.map((root) => f32(depth + root)), [a, b, c] = denominator.map((root) => f32(depth + root));
  const value = f32(f32(f32(f32(p * q) * f32(r * u)) * factor) / f32(f32(a * b) * c));
  return s < 0 ? -value : value;
}

function normalOf(s) {
  return (s ^ (s >> 31)) > LAWS.centreEnd ? tail(LAWS.tail, s) : centre(LAWS.centre, s);
}

const TRANSFORMS = {
  uniform: (s) => f32(f32(f32(s >> 8) + 0.5) * f32(2 ** -23)),
  normal: normalOf,
  truncated_normal: (s) => centre(LAWS.truncated, s),
};

// penstock.randomness.fill: raw values of a parameter, kept, since most figures scale the same ones.
const raws = new Map();
function raw(law, seed, name, count) {
  const label = `${law} ${seed} ${name} ${count}`;
  if (!raws.has(label)) {
    if (raws.size > 400) raws.clear();
    const transform = TRANSFORMS[law], bits = words(keyFor(seed, name), count), values = new Float32Array(count);
    for (let i = 0; i < count; i += 1) values[i] = transform(bits[i]);
    raws.set(label, values);
  }
  return raws.get(label);
}

// scale * raw, each rounded to float32 as in Python.
function drawn(law, seed, name, count, scaling) {
  const factor = f32(scaling), values = new Float32Array(raw(law, seed, name, count));
  for (let i = 0; i < count; i += 1) values[i] *= factor; // the store rounds to float32
  return values;
}
