// What the page carries: a JSON block, and columns of varints as base64 (html/pack.rs says how they are laid out).
//
// Times are microseconds since the run began, as numbers: exact up to 285 years.

const byId = (id) => document.getElementById(id);
const run = JSON.parse(byId("data-run").textContent);

// Reads one packed column from its start to its end.
const columnReader = (base64) => {
  const packed = atob(base64);
  let at = 0;
  return {
    more: () => at < packed.length,
    next: () => {
      let value = 0, scale = 1, byte;
      do {
        byte = packed.charCodeAt(at++);
        value += (byte & 0x7f) * scale;
        scale *= 128;
      } while (byte & 0x80);
      return value;
    },
  };
};

// A list of numbers whose length isn't known beforehand, without a boxed value per element.
const growing = (Kind) => {
  let array = new Kind(1024), length = 0;
  return {
    push: (value) => {
      if (length === array.length) {
        const wider = new Kind(length * 2);
        wider.set(array);
        array = wider;
      }
      array[length++] = value;
    },
    finish: () => array.subarray(0, length),
  };
};

const OK = 0, FAIL = 1, INFO = 2;

const operations = (() => {
  const reader = columnReader(byId("data-operations").textContent);
  const due = growing(Float64Array), latency = growing(Float64Array), power = growing(Float32Array), outcome = growing(Uint8Array), pinned = growing(Uint8Array);
  let at = 0;
  while (reader.more()) {
    // The flags are the lowest three bits; a shift would cut the rest to 32 bits.
    const word = reader.next(), flags = word % 8;
    at += (word - flags) / 8;
    due.push(at);
    outcome.push(flags & 3);
    pinned.push(flags >> 2);
    const took = reader.next();
    latency.push(took);
    // The scale is logarithmic; a logarithm is taken once here and not at every drawing.
    power.push(Math.log10(Math.max(took, 1)));
  }
  return { due: due.finish(), latency: latency.finish(), power: power.finish(), outcome: outcome.finish(), pinned: pinned.finish() };
})();

// Three counts a bin: acknowledged, refused, unknown.
const rate = (() => {
  const reader = columnReader(byId("data-rate").textContent);
  const counts = [growing(Float64Array), growing(Float64Array), growing(Float64Array)];
  while (reader.more()) counts.forEach((count) => count.push(reader.next()));
  return counts.map((count) => count.finish());
})();

// Each node's questions. They are read when somebody first looks closely enough to see one.
const questions = (() => {
  const columns = byId("data-questions").textContent.split(" ");
  const read = columns.map(() => null);
  return (node) => {
    if (read[node] === null) {
      const reader = columnReader(columns[node]);
      const sent = growing(Float64Array), took = growing(Float64Array), answered = growing(Uint8Array);
      let at = 0;
      while (reader.more()) {
        const word = reader.next(), flag = word % 2;
        at += (word - flag) / 2;
        sent.push(at);
        answered.push(flag);
        took.push(reader.next());
      }
      read[node] = { sent: sent.finish(), took: took.finish(), answered: answered.finish() };
    }
    return read[node];
  };
})();

// The first index whose value is not below `wanted`, in an ascending list.
const firstNotBelow = (list, wanted, valueOf = (value) => value) => {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (valueOf(list[middle]) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
};

// Every term that anybody was seen in: when first, and who led it since when. The lanes are all there is to know it from.
const terms = (() => {
  const found = new Map();
  run.roles.forEach((lane, node) => {
    for (const [from, , role, term, named] of lane) {
      if (term === 0) continue;
      const entry = found.get(term) ?? { term, first: from, leader: null, elected: Infinity };
      entry.first = Math.min(entry.first, from);
      const leader = role === "leader" ? node : named;
      if (leader !== null && from < entry.elected) {
        entry.leader = leader;
        entry.elected = from;
      }
      found.set(term, entry);
    }
  });
  return [...found.values()].sort((a, b) => a.term - b.term);
})();
