// Products of matrices, which all of the page's time goes into: three rows by three columns at a time, so that each
// number that is read serves three products. Every element is one sum in the order of k, whatever its place in a tile:
// equal rows stay equal to the last bit.

// out[m, n] = sum over k of a[m, k] b[n, k], for any layout: a number lies at rowA * m + stepA * k, rowB * n + stepB * k.
// "| 0" says that indices are whole numbers: a width that came from 2 ** 6 would otherwise make all of them slow floats.
function multiply(out, a, rowA, stepA, b, rowB, stepB, rows, columns, length) {
  const [ra, sa, rb, sb, width, count] = [rowA | 0, stepA | 0, rowB | 0, stepB | 0, columns | 0, length | 0];
  const lastM = (rows - 1) | 0, lastN = (columns - 1) | 0;
  for (let m = 0; m <= lastM; m = (m + 3) | 0) {
    const m1 = Math.min(m + 1, lastM) | 0, m2 = Math.min(m + 2, lastM) | 0; // a row past the end is the last one again
    for (let n = 0; n <= lastN; n = (n + 3) | 0) {
      const n1 = Math.min(n + 1, lastN) | 0, n2 = Math.min(n + 2, lastN) | 0;
      let i0 = Math.imul(m, ra), i1 = Math.imul(m1, ra), i2 = Math.imul(m2, ra);
      let j0 = Math.imul(n, rb), j1 = Math.imul(n1, rb), j2 = Math.imul(n2, rb);
      let s00 = 0, s01 = 0, s02 = 0, s10 = 0, s11 = 0, s12 = 0, s20 = 0, s21 = 0, s22 = 0;
      for (let k = 0; k < count; k = (k + 1) | 0) {
        const a0 = a[i0], a1 = a[i1], a2 = a[i2], b0 = b[j0], b1 = b[j1], b2 = b[j2];
        s00 += a0 * b0; s01 += a0 * b1; s02 += a0 * b2;
        s10 += a1 * b0; s11 += a1 * b1; s12 += a1 * b2;
        s20 += a2 * b0; s21 += a2 * b1; s22 += a2 * b2;
        i0 = (i0 + sa) | 0; i1 = (i1 + sa) | 0; i2 = (i2 + sa) | 0;
        j0 = (j0 + sb) | 0; j1 = (j1 + sb) | 0; j2 = (j2 + sb) | 0;
      }
      const o0 = Math.imul(m, width), o1 = Math.imul(m1, width), o2 = Math.imul(m2, width);
      out[o0 + n] = s00; out[o0 + n1] = s01; out[o0 + n2] = s02;
      out[o1 + n] = s10; out[o1 + n1] = s11; out[o1 + n2] = s12;
      out[o2 + n] = s20; out[o2 + n1] = s21; out[o2 + n2] = s22;
    }
  }
  return out;
}

// Three products of one layer, whose weights w have shape (nOut, nIn); x and g hold n rows.
const timesTransposed = (out, x, w, n, nIn, nOut) => multiply(out, x, nIn, 1, w, nIn, 1, n, nOut, nIn); // x W^T
const timesWeights = (out, g, w, n, nIn, nOut) => multiply(out, g, nOut, 1, w, 1, nIn, n, nIn, nOut); // g W
const timesInputs = (out, g, x, n, nIn, nOut) => multiply(out, g, 1, nOut, x, 1, nIn, nOut, nIn, n); // g^T x

function columnSums(out, g, n, columns) {
  out.fill(0);
  for (let r = 0; r < n; r += 1) for (let o = 0; o < columns; o += 1) out[o] += g[r * columns + o];
  return out;
}

// Where results are put: into new arrays, or, for training, into those of the step before. To make an array takes as
// long as a third of the product that fills it.
const fresh = (length) => new Float64Array(length);
function shelf() {
  const kept = [];
  let at = 0;
  const take = (length) => {
    if (kept[at]?.length !== length) kept[at] = fresh(length);
    at += 1;
    return kept[at - 1];
  };
  return () => { at = 0; return take; };
}
