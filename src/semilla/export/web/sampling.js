"use strict";
// Chooses the next token, and writes a text token by token.

const UNKNOWN_ID = 0;
const BEGIN_ID = 1;
const END_ID = 2;

// The tokens read so far and their KV cache. When the context is full, the later half of it is read again and the rest
// is forgotten, because the network knows no positions beyond those it was trained with.
class Context {
  constructor(network) {
    this.network = network;
    this.cache = network.makeCache();
    this.ids = [];
  }

  // Reads further tokens; returns the scores of the next one.
  read(ids) {
    if (this.ids.length + ids.length > this.network.capacity) {
      ids = [...this.ids, ...ids].slice(-Math.floor(this.network.capacity / 2));
      this.ids = [];
    }
    this.numRead = ids.length;
    let x;
    for (const id of ids) {
      x = this.network.read(id, this.ids.length, this.cache);
      this.ids.push(id);
    }
    return this.network.score(x);
  }
}

// Yields one choice per token until the text ends by itself, which is the token END_ID, or has its full length.
// settings: max_tokens, temperature, top_k, top_p, repetition_penalty.
function* generate(network, ids, settings, seed) {
  const random = new Random(seed);
  const context = new Context(network);
  for (let count = 0; count < settings.max_tokens; count++) {
    const scores = context.read(ids);
    let uniform; // The runtime draws a number for every chunk that it reads, and uses the last one.
    for (let i = 0; i < context.numRead; i += network.shape.chunk_tokens) uniform = random.next();
    const id = chooseToken(scores, context.ids, settings, Math.fround(uniform));
    yield { id, scores };
    if (id === END_ID) return;
    ids = [id];
  }
}

// Lowers the scores of tokens that were read already, keeps the top_k best, divides by the temperature, keeps the
// likeliest up to a probability of top_p together, and draws one of these: uniform is a random number from 0 to 1.
function chooseToken(scores, seen, settings, uniform) {
  const isGreedy = settings.temperature < 1e-6;
  const adjusted = penalize(scores, seen, settings.repetition_penalty);
  const best = findBest(adjusted, isGreedy ? 1 : settings.top_k || scores.length);
  if (isGreedy) return best[0];
  const shares = softmax(Float32Array.from(best, (id) => adjusted[id] / settings.temperature));
  const before = new Float32Array(shares.length); // the sum of the shares of all better tokens
  for (let i = 1; i < shares.length; i++) before[i] = before[i - 1] + shares[i - 1];
  let kept = 0;
  for (let i = 0; i < shares.length; i++) if (before[i] < settings.top_p) kept += shares[i];
  const target = Math.fround(Math.fround(kept) * uniform);
  let chosen = 0;
  while (chosen + 1 < before.length && before[chosen + 1] <= target) chosen++;
  return best[chosen];
}

// The repetition penalty of Keskar et al. 2019 (section 4.1). Two tokens are never chosen: unknown, and begin-of-text.
function penalize(scores, seen, penalty) {
  const adjusted = Float32Array.from(scores);
  for (const id of new Set(seen)) adjusted[id] = scores[id] > 0 ? scores[id] / penalty : scores[id] * penalty;
  adjusted[UNKNOWN_ID] = adjusted[BEGIN_ID] = -Infinity;
  return adjusted;
}

// The ids with the highest scores, best first; of equal ones, the lower id first.
function findBest(scores, count) {
  const isBetter = (a, b) => scores[b] - scores[a] || a - b;
  if (8 * count > scores.length) return Array.from(scores.keys()).sort(isBetter).slice(0, count);
  const best = [];
  for (let id = 0; id < scores.length; id++) {
    if (best.length === count && scores[id] <= scores[best[count - 1]]) continue;
    let place = best.length;
    while (place > 0 && scores[best[place - 1]] < scores[id]) place--;
    best.splice(place, 0, id);
    if (best.length > count) best.pop();
  }
  return best;
}

// Python's random.Random(seed).random(): the Mersenne Twister (Matsumoto and Nishimura 1998). The same seed gives the
// same text here and in `semilla generate`. seed: a BigInt from 0 to 2^63 - 1.
class Random {
  constructor(seed) {
    const key = [Number(seed & 0xffffffffn)];
    if (seed >> 32n) key.push(Number(seed >> 32n));
    const state = new Uint32Array(624);
    state[0] = 19650218;
    for (let i = 1; i < 624; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
    const stir = (i, factor) => state[i] ^ Math.imul(state[i - 1] ^ (state[i - 1] >>> 30), factor);
    let i = 1;
    const advance = () => {
      if (++i < 624) return;
      state[0] = state[623];
      i = 1;
    };
    for (let k = 0; k < 624; k++, advance()) {
      state[i] = stir(i, 1664525) + key[k % key.length] + (k % key.length);
    }
    for (let k = 0; k < 623; k++, advance()) state[i] = stir(i, 1566083941) - i;
    state[0] = 0x80000000;
    this.state = state;
    this.place = 624;
  }

  // 32 random bits.
  draw() {
    if (this.place === 624) this.twist();
    let y = this.state[this.place++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  twist() {
    const { state } = this;
    for (let i = 0; i < 624; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
      state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.place = 0;
  }

  // A number from 0 to 1, with 53 random bits.
  next() {
    const high = this.draw() >>> 5;
    return (high * 67108864 + (this.draw() >>> 6)) / 9007199254740992;
  }
}
