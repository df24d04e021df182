"use strict";
// The network: a Llama-style decoder with weights of one byte (Touvron et al. 2023, https://arxiv.org/abs/2302.13971).
//
// A token goes through it in five steps: look up its embedding; in every layer, attend to the tokens before it, then
// apply a feed-forward network; normalise; score every piece of the vocabulary. What the layers add up to is called
// the residual stream. Keys and values of earlier tokens are kept (the KV cache), so each token is read only once.

class Network {
  // shape: the names of Hugging Face's LlamaConfig. matrices and gains: by the names of LlamaForCausalLM.
  constructor(shape, matrices, gains) {
    this.shape = shape;
    this.matrices = matrices;
    this.gains = gains;
    this.width = shape.hidden_size;
    this.heads = shape.num_attention_heads;
    this.headWidth = matrices["layers.0.qkv"].rows / 3 / this.heads; // with its padding
    this.capacity = shape.max_position_embeddings;
    this.rotations = this.computeRotations();
    this.output = matrices.output ?? matrices.embedding; // one matrix for both when they are tied
  }

  // Cosine and sine of the angle by which position p rotates pair i of a head: p / theta^(2i / head width)
  // (Su et al. 2021, https://arxiv.org/abs/2104.09864). Padded pairs are zeros and are not rotated.
  computeRotations() {
    const trueWidth = this.width / this.heads;
    const half = this.headWidth / 2;
    const cosines = new Float32Array(this.capacity * half).fill(1);
    const sines = new Float32Array(this.capacity * half);
    for (let position = 0; position < this.capacity; position++) {
      for (let pair = 0; pair < trueWidth / 2; pair++) {
        const angle = position * this.shape.rope_theta ** -((2 * pair) / trueWidth);
        cosines[position * half + pair] = Math.cos(angle);
        sines[position * half + pair] = Math.sin(angle);
      }
    }
    return { cosines, sines };
  }

  makeCache() {
    const rows = () => new Float32Array(this.capacity * this.heads * this.headWidth);
    return Array.from({ length: this.shape.num_hidden_layers }, () => ({ keys: rows(), values: rows() }));
  }

  // Reads the token at a position and returns the residual stream after the last layer. watch, if given, has the
  // functions layer(number, residual stream) and attention(layer, head, shares of the positions up to this one).
  read(token, position, cache, watch = {}) {
    const x = takeRow(this.matrices.embedding, token);
    watch.layer?.(0, x);
    for (let layer = 0; layer < this.shape.num_hidden_layers; layer++) {
      add(x, this.attend(this.normalize(x, `layers.${layer}.attention`), layer, position, cache[layer], watch));
      add(x, this.feedForward(this.normalize(x, `layers.${layer}.mlp`), layer));
      watch.layer?.(layer + 1, x);
    }
    return x;
  }

  // A score (logit) for every piece of the vocabulary to be the next.
  score(x) {
    return multiply(this.output, this.normalize(x, "final"));
  }

  // RMSNorm: divide by the root of the mean square, then scale each number with its gain. Math.fround rounds to 32 bits
  // after every step, as the runtime does.
  normalize(x, name) {
    const gain = this.gains[name];
    let squares = 0;
    for (let i = 0; i < x.length; i++) squares = Math.fround(squares + Math.fround(x[i] * x[i]));
    const mean = Math.fround(squares / x.length);
    const root = Math.fround(Math.sqrt(Math.fround(mean + Math.fround(this.shape.rms_norm_eps))));
    const y = new Float32Array(x.length);
    for (let i = 0; i < x.length; i++) y[i] = Math.fround(x[i] / root) * gain[i];
    return y;
  }

  // Every head compares the token's query with the keys of all tokens so far, and takes a weighted mean of their values.
  attend(x, layer, position, { keys, values }, watch) {
    const width = this.heads * this.headWidth;
    const qkv = multiply(this.matrices[`layers.${layer}.qkv`], x);
    const query = this.rotate(qkv.subarray(0, width), position);
    keys.set(this.rotate(qkv.subarray(width, 2 * width), position), position * width);
    values.set(qkv.subarray(2 * width), position * width);
    const mixed = new Float32Array(width);
    const scale = Math.fround(1 / Math.sqrt(this.width / this.heads));
    for (let head = 0; head < this.heads; head++) {
      const start = head * this.headWidth;
      const shares = new Float32Array(position + 1);
      for (let past = 0; past <= position; past++) {
        let product = 0;
        for (let i = 0; i < this.headWidth; i++) product += query[start + i] * keys[past * width + start + i];
        shares[past] = product * scale;
      }
      softmax(shares);
      watch.attention?.(layer, head, shares);
      for (let i = 0; i < this.headWidth; i++) {
        let sum = 0;
        for (let past = 0; past <= position; past++) sum += shares[past] * values[past * width + start + i];
        mixed[start + i] = sum;
      }
    }
    return multiply(this.matrices[`layers.${layer}.o`], mixed);
  }

  // Rotates the pairs (i, i + half) of every head in place.
  rotate(x, position) {
    const half = this.headWidth / 2;
    const { cosines, sines } = this.rotations;
    for (let head = 0; head < this.heads; head++) {
      for (let i = 0; i < half; i++) {
        const first = head * this.headWidth + i;
        const [a, b] = [x[first], x[first + half]];
        const [cosine, sine] = [cosines[position * half + i], sines[position * half + i]];
        x[first] = a * cosine - b * sine;
        x[first + half] = b * cosine + a * sine;
      }
    }
    return x;
  }

  // SwiGLU (Shazeer 2020, https://arxiv.org/abs/2002.05202).
  feedForward(x, layer) {
    const both = multiply(this.matrices[`layers.${layer}.gate_up`], x);
    const hidden = both.length / 2;
    const gated = new Float32Array(hidden);
    for (let i = 0; i < hidden; i++) {
      gated[i] = Math.fround(both[i] / (1 + Math.exp(-both[i]))) * both[hidden + i];
    }
    return multiply(this.matrices[`layers.${layer}.down`], gated);
  }
}

// A matrix has rows x columns weights of one byte, codes, and for each block of up to `block` weights of a row a scale:
// weight = code * scale.

function takeRow({ columns, block, codes, scales }, row) {
  const blocks = Math.ceil(columns / block);
  return Float32Array.from({ length: columns }, (_, i) => {
    return codes[row * columns + i] * scales[row * blocks + Math.floor(i / block)];
  });
}

// The product of a matrix and a vector. The vector is rounded to bytes as well, like on a small machine, so that the
// inner loop multiplies and adds whole numbers.
function multiply({ rows, columns, block, codes, scales }, x) {
  const blocks = Math.ceil(columns / block);
  const { codes: xCodes, scales: xScales } = roundToBytes(x, block);
  const y = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let total = 0;
    for (let b = 0; b < blocks; b++) {
      const end = Math.min((b + 1) * block, columns);
      const sum = multiplyBytes(codes, row * columns, xCodes, b * block, end);
      total += sum * Math.fround(xScales[b] * scales[row * blocks + b]);
    }
    y[row] = total;
  }
  return y;
}

// The sum of codes[start + i] * x[i] for i from `from` to `end`: where the page spends its time. `| 0` tells the
// browser that the sum is a whole number of 32 bits; four steps at a time are a third faster than one.
function multiplyBytes(codes, start, x, from, end) {
  let sum = 0;
  let i = from;
  for (; i + 3 < end; i += 4) {
    const at = start + i;
    sum = (sum + codes[at] * x[i] + codes[at + 1] * x[i + 1] + codes[at + 2] * x[i + 2] + codes[at + 3] * x[i + 3]) | 0;
  }
  for (; i < end; i++) sum = (sum + codes[start + i] * x[i]) | 0;
  return sum;
}

// Each block is divided by its largest absolute value and multiplied by 127; halves are rounded to even numbers.
function roundToBytes(x, block) {
  const codes = new Int32Array(x.length); // bytes, but numbers of 32 bits are faster to read
  const scales = new Float32Array(Math.ceil(x.length / block));
  for (let b = 0; b < scales.length; b++) {
    const end = Math.min((b + 1) * block, x.length);
    let largest = 0;
    for (let i = b * block; i < end; i++) largest = Math.max(largest, Math.abs(x[i]));
    scales[b] = largest / 127;
    const inverse = largest ? Math.fround(127 / largest) : 0;
    for (let i = b * block; i < end; i++) codes[i] = roundHalfToEven(Math.fround(x[i] * inverse));
  }
  return { codes, scales };
}

function roundHalfToEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

function add(x, y) {
  for (let i = 0; i < x.length; i++) x[i] += y[i];
}

// Turns scores into shares that add up to 1, in place.
function softmax(scores) {
  let largest = -Infinity;
  for (const score of scores) largest = Math.max(largest, score);
  let sum = 0;
  for (let i = 0; i < scores.length; i++) sum += scores[i] = Math.exp(scores[i] - largest);
  for (let i = 0; i < scores.length; i++) scores[i] /= sum;
  return scores;
}
