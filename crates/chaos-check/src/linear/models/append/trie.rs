//! The states of an append log that matter: prefixes of observed values that puts and appends of the history lead to.
//!
//! From any other state nothing that was observed can be reached, but by a put; they are one dead state, and have no node.
//! Values are walked in order, each from where it parts from the one before, and only those that are no other's prefix; where a
//! node is, all tokens are looked up that the text goes on with. O(n log n) comparisons of strings and the total length of the
//! values; values that part late from each other and long tokens cost up to a walk of a whole value each.

use std::sync::Arc;

use super::Call;

/// The state before the first operation.
pub(super) const ROOT: u32 = 0;

/// Distinct strings, ascending; their places are their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Texts {
    pub(super) fn text(&self, number: u32) -> &[u8] {
        let number = number as usize;
        &self.bytes[self.starts[number]..self.starts[number + 1]]
    }

    /// The strings of `calls`, and each call's number.
    fn new(calls: &[Call<'_>]) -> (Self, Vec<u32>) {
        let text = |call: &u32| calls[*call as usize].text();
        let mut sorted: Vec<u32> = (0..).take(calls.len()).collect();
        sorted.sort_unstable_by(|one, other| text(one).cmp(text(other)));
        let mut texts = Self { bytes: Vec::new(), starts: Vec::new() };
        let mut numbers = vec![0; calls.len()];
        for (number, same) in (0_u32..).zip(sorted.chunk_by(|one, other| text(one) == text(other))) {
            texts.starts.push(texts.bytes.len());
            texts.bytes.extend_from_slice(text(&same[0]));
            same.iter().for_each(|call| numbers[*call as usize] = number);
        }
        texts.starts.push(texts.bytes.len());
        (texts, numbers)
    }
}

/// Strings in order, each with the longest other that it begins with.
struct Prefixes {
    texts: Vec<(u32, Option<usize>)>,
    len_max: usize,
}

impl Prefixes {
    fn new(texts: &Texts, sorted: Vec<u32>) -> Self {
        let mut prefixes = Self { texts: Vec::new(), len_max: 0 };
        for number in sorted {
            let mut longest = prefixes.texts.len().checked_sub(1);
            while let Some(place) = longest
                && !texts.text(number).starts_with(texts.text(prefixes.texts[place].0))
            {
                longest = prefixes.texts[place].1;
            }
            prefixes.texts.push((number, longest));
            prefixes.len_max = prefixes.len_max.max(texts.text(number).len());
        }
        prefixes
    }

    /// Those that `text` begins with, longest first. All of them are prefixes of the last one that is not above `text`.
    fn of<'a>(&'a self, texts: &'a Texts, text: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
        let last = self.texts.partition_point(|(number, _)| texts.text(*number) <= text).checked_sub(1);
        let common = last.map_or(0, |last| common(texts.text(self.texts[last].0), text));
        std::iter::successors(last, |place| self.texts[*place].1)
            .map(|place| self.texts[place].0)
            .filter(move |number| texts.text(*number).len() <= common)
    }
}

/// How long the common prefix of two strings is.
fn common(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// How a state comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// It is the first.
    Initial,
    /// By a put of this text.
    Put(u32),
    /// By an append.
    Step { from: u32, token: u32 },
}

/// A state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// How it comes about, if that is the only way.
    pub(super) source: Source,
    /// Whether it is, and was for the states on the way.
    pub(super) unique: bool,
    /// Whether it could also be that the put, here or on the way, was none, but the first of all appends was of the same text.
    pub(super) doubt: bool,
    /// The put that its value begins with; `None` if it is the first state's.
    pub(super) head: Option<u32>,
    /// Appends since then.
    pub(super) depth: u32,
    len: usize,
}

/// The states that matter.
#[derive(Clone, Debug)]
pub(super) struct Trie {
    pub(super) texts: Arc<Texts>,
    nodes: Vec<Node>,
    /// From, token, to; ascending.
    edges: Vec<(u32, u32, u32)>,
    /// The tokens of edges, ascending.
    leading: Vec<u32>,
    /// Put, the state after it; ascending.
    puts: Vec<(u32, u32)>,
    /// Observed text, its state if there is one; ascending.
    observed: Vec<(u32, Option<u32>)>,
}

impl Trie {
    pub(super) fn new(calls: &[Call<'_>]) -> (Self, Vec<u32>) {
        let (texts, numbers) = Texts::new(calls);
        let of = |kind: fn(&Call<'_>) -> bool| {
            calls.iter().zip(&numbers).filter(move |(call, _)| kind(call)).map(|(_, number)| *number).collect()
        };
        let kinds: [Vec<u32>; 3] = [
            of(|call| matches!(call, Call::Put(_))),
            of(|call| matches!(call, Call::Append(_))),
            of(|call| matches!(call, Call::Get(_))),
        ];
        (Self::of(Arc::new(texts), kinds), numbers)
    }

    /// The states that puts, appends and gets of these texts have.
    pub(super) fn of(texts: Arc<Texts>, mut kinds: [Vec<u32>; 3]) -> Self {
        for kind in &mut kinds {
            kind.sort_unstable();
            kind.dedup();
        }
        let [puts, mut appends, observed] = kinds;
        appends.retain(|number| !texts.text(*number).is_empty());
        let (puts, tokens) = (Prefixes::new(&texts, puts), Prefixes::new(&texts, appends));
        let root = Node { source: Source::Initial, unique: true, doubt: false, head: None, depth: 0, len: 0 };
        let mut trie = Self {
            texts,
            nodes: vec![root],
            edges: Vec::new(),
            leading: Vec::new(),
            puts: Vec::new(),
            observed: Vec::new(),
        };
        trie.walk(&puts, &tokens, &observed);
        trie.edges.sort_unstable();
        trie.leading = trie.edges.iter().map(|(_, token, _)| *token).collect();
        trie.leading.sort_unstable();
        trie.leading.dedup();
        trie.puts.sort_unstable();
        trie.inherit();
        trie
    }

    fn walk(&mut self, puts: &Prefixes, tokens: &Prefixes, observed: &[u32]) {
        // For each length of the value at hand the node of its prefix.
        let mut at: Vec<Option<u32>> = Vec::new();
        let mut before: &[u8] = &[];
        let texts = Arc::clone(&self.texts);
        let mut shorter = 0;
        for (place, &number) in observed.iter().enumerate() {
            let value = texts.text(number);
            if observed.get(place + 1).is_some_and(|next| texts.text(*next).starts_with(value)) {
                continue;
            }
            let known = if at.is_empty() { None } else { Some(common(before, value)) };
            at.truncate(known.map_or(0, |known| known + 1));
            at.resize(value.len() + 1, None);
            at[0] = Some(ROOT);
            for put in puts.of(&texts, value) {
                let len = texts.text(put).len();
                if known.is_none_or(|known| len > known) {
                    let node = self.reach(&mut at[len], len, Source::Put(put));
                    self.puts.push((put, node));
                }
            }
            for start in known.map_or(0, |known| (known + 1).saturating_sub(tokens.len_max))..value.len() {
                let Some(from) = at[start] else { continue };
                for token in tokens.of(&texts, &value[start..]) {
                    let len = start + texts.text(token).len();
                    if known.is_none_or(|known| len > known) {
                        let to = self.reach(&mut at[len], len, Source::Step { from, token });
                        self.edges.push((from, token, to));
                    }
                }
            }
            let prefixes = observed[shorter..=place].iter();
            self.observed.extend(prefixes.map(|&number| (number, at[texts.text(number).len()])));
            shorter = place + 1;
            before = value;
        }
    }

    /// The node that `source` leads to, which may be there already.
    fn reach(&mut self, at: &mut Option<u32>, len: usize, source: Source) -> u32 {
        if let Some(node) = *at {
            let rooted = self.nodes[ROOT as usize].unique;
            let known = &mut self.nodes[node as usize];
            match (known.source, source) {
                (Source::Put(_), Source::Step { from: ROOT, .. }) if rooted => known.doubt = true,
                (Source::Initial | Source::Put(_) | Source::Step { .. }, _) => known.unique = false,
            }
            return node;
        }
        let node = u32::try_from(self.nodes.len()).expect("a node is a byte of an observed value at least");
        self.nodes.push(Node { source, unique: true, doubt: false, head: None, depth: 0, len });
        *at = Some(node);
        node
    }

    /// Passes on what a state has from the one before.
    fn inherit(&mut self) {
        let mut by_length: Vec<u32> = (0..).take(self.nodes.len()).collect();
        by_length.sort_unstable_by_key(|node| self.nodes[*node as usize].len);
        for node in by_length {
            let (head, depth, unique, doubt) = match self.nodes[node as usize].source {
                Source::Initial => (None, 0, true, false),
                Source::Put(put) => (Some(put), 0, true, false),
                Source::Step { from, .. } => {
                    let from = &self.nodes[from as usize];
                    (from.head, from.depth + 1, from.unique, from.doubt)
                }
            };
            let node = &mut self.nodes[node as usize];
            (node.head, node.depth, node.unique, node.doubt) =
                (head, depth, node.unique && unique, node.doubt || doubt);
        }
    }

    pub(super) fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }

    /// The state after an append.
    pub(super) fn after(&self, from: u32, token: u32) -> Option<u32> {
        let place = self.edges.binary_search_by_key(&(from, token), |&(from, token, _)| (from, token)).ok()?;
        Some(self.edges[place].2)
    }

    /// Whether an append of this leads anywhere.
    pub(super) fn leads(&self, token: u32) -> bool {
        self.leading.binary_search(&token).is_ok()
    }

    /// The state after a put.
    pub(super) fn put(&self, text: u32) -> Option<u32> {
        let place = self.puts.binary_search_by_key(&text, |(text, _)| *text).ok()?;
        Some(self.puts[place].1)
    }

    /// The state in which `text` is observed.
    pub(super) fn observed(&self, text: u32) -> Option<u32> {
        let place = self.observed.binary_search_by_key(&text, |(text, _)| *text).ok()?;
        self.observed[place].1
    }

    /// The tokens that lead to a state, last first, each with the state that it leads to. Only of a unique one.
    pub(super) fn path(&self, node: u32) -> impl Iterator<Item = (u32, u32)> {
        std::iter::successors(Some(node), |node| match self.node(*node).source {
            Source::Step { from, .. } => Some(from),
            Source::Initial | Source::Put(_) => None,
        })
        .filter_map(|node| match self.node(node).source {
            Source::Step { token, .. } => Some((token, node)),
            Source::Initial | Source::Put(_) => None,
        })
    }
}
