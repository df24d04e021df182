"use strict";
// Cuts text into the pieces of a vocabulary, with the same result as SentencePiece.
//
// Nothing changes the text on its way: no lower case, no added spaces. Inside a piece a space is written as "▁". A
// character that is in no piece is written as its UTF-8 bytes, and each of the 256 bytes is a piece of its own.

const SPACE_MARK = "\u2581";
const KIND = { NORMAL: "1", UNKNOWN: "2", CONTROL: "3", USER_DEFINED: "4", UNUSED: "5", BYTE: "6" };
const UNKNOWN_PENALTY = 10; // kUnkPenalty in SentencePiece

class Tokenizer {
  // type: unigram, bpe, char or word. pieces: the text of each piece. kinds: one digit of KIND per piece.
  // scores: Float32Array, the log probability (unigram) or the negative rank (bpe) of each piece.
  constructor({ type, pieces, kinds }, scores) {
    this.type = type;
    this.pieces = pieces;
    this.kinds = kinds;
    this.scores = scores;
    this.ids = new Map(); // pieces that can match text
    this.names = new Map(); // the others, which only have a name such as <s> or <0x0A>
    this.bytes = new Array(256); // byte -> id
    this.longest = 1;
    let lowest = Infinity;
    let highest = -Infinity;
    pieces.forEach((piece, id) => {
      if (kinds[id] === KIND.BYTE) this.bytes[parseInt(piece.slice(3, 5), 16)] = id;
      const isMatched = kinds[id] === KIND.NORMAL || kinds[id] === KIND.USER_DEFINED;
      (isMatched ? this.ids : this.names).set(piece, id);
      if (isMatched) this.longest = Math.max(this.longest, piece.length);
      if (kinds[id] === KIND.NORMAL) lowest = Math.min(lowest, scores[id]);
      if (kinds[id] === KIND.NORMAL) highest = Math.max(highest, scores[id]);
    });
    this.unknownId = kinds.indexOf(KIND.UNKNOWN);
    this.unknownScore = Math.fround(lowest - UNKNOWN_PENALTY);
    this.highestScore = highest;
    this.hasInnerSpaces = pieces.some((piece) => piece.indexOf(SPACE_MARK, 1) > 0);
  }

  // The ids of a text.
  encode(text) {
    const marked = text.replace(/[\ud800-\udfff]/gu, "\ufffd").replaceAll(" ", SPACE_MARK);
    const cut = { unigram: "cutUnigram", bpe: "cutBpe", char: "cutCharacters", word: "cutWords" }[this.type];
    return this[cut](marked).flatMap((piece) => this.find(piece));
  }

  // The id of a piece, or the ids of its bytes.
  find(piece) {
    const name = this.type === "word" ? this.names.get(piece) : undefined;
    const id = name ?? this.ids.get(piece) ?? this.unknownId;
    if (id !== this.unknownId) return [id];
    return Array.from(new TextEncoder().encode(piece), (byte) => this.bytes[byte]);
  }

  // The most probable way to cut a text (Kudo 2018, section 3.2), found by the Viterbi algorithm: for every place in the
  // text, remember the best way to get there. Scores are rounded to float32 where SentencePiece does it, so that ways
  // that are almost equally good end in the same order.
  cutUnigram(text) {
    const best = new Float32Array(text.length + 1);
    const start = new Int32Array(text.length + 1).fill(-1);
    const reach = (from, to, score) => {
      if (start[to] < 0 || score > best[to]) {
        best[to] = score;
        start[to] = from;
      }
    };
    for (let from = 0; from < text.length; from += characterLength(text, from)) {
      const next = from + characterLength(text, from);
      let isCovered = false;
      for (let to = next; to <= Math.min(from + this.longest, text.length); to++) {
        const id = this.ids.get(text.slice(from, to));
        if (id === undefined) continue;
        // A symbol that the trainer was given (the line break) beats every other piece.
        const isGiven = this.kinds[id] === KIND.USER_DEFINED;
        const score = isGiven ? (to - from) * this.highestScore - 0.1 : this.scores[id];
        reach(from, to, Math.fround(best[from] + score));
        isCovered ||= to === next;
      }
      if (!isCovered) reach(from, next, Math.fround(best[from] + this.unknownScore));
    }
    const found = [];
    for (let to = text.length; to > 0; to = start[to]) found.push(text.slice(start[to], to));
    return found.reverse();
  }

  // Byte-pair encoding (Sennrich et al. 2016): start with characters; while two neighbours form a piece, join the pair
  // with the best score. No piece goes beyond a space, so each word is cut alone.
  cutBpe(text) {
    return (this.hasInnerSpaces ? [text] : this.cutWords(text)).flatMap((word) => this.mergePairs(Array.from(word)));
  }

  mergePairs(symbols) {
    for (;;) {
      let best = -1;
      let bestScore = -Infinity;
      for (let i = 0; i + 1 < symbols.length; i++) {
        const id = this.ids.get(symbols[i] + symbols[i + 1]);
        if (id === undefined || this.scores[id] <= bestScore) continue;
        if ([symbols[i], symbols[i + 1]].some((one) => this.kinds[this.ids.get(one)] === KIND.USER_DEFINED)) continue;
        best = i;
        bestScore = this.scores[id];
      }
      if (best < 0) return symbols;
      symbols.splice(best, 2, symbols[best] + symbols[best + 1]);
    }
  }

  cutCharacters(text) {
    return Array.from(text);
  }

  // Every space begins a word.
  cutWords(text) {
    return text.split(new RegExp(`(?=${SPACE_MARK})`, "u")).filter((word) => word);
  }

  // How a piece is shown in a list: a space is visible, a line break too.
  show(id) {
    return this.pieces[id].replaceAll("\n", "↵");
  }
}

function characterLength(text, place) {
  return text.codePointAt(place) > 0xffff ? 2 : 1;
}

// Turns ids into text, one at a time. A character whose bytes are several pieces appears with the last of them.
class PieceDecoder {
  constructor(tokenizer) {
    this.tokenizer = tokenizer;
    this.decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    this.encoder = new TextEncoder();
  }

  push(id) {
    const piece = this.tokenizer.pieces[id];
    const isByte = this.tokenizer.kinds[id] === KIND.BYTE;
    const bytes = isByte ? Uint8Array.of(parseInt(piece.slice(3, 5), 16)) : this.encoder.encode(piece);
    return this.decoder.decode(bytes, { stream: true }).replaceAll(SPACE_MARK, " ");
  }
}
