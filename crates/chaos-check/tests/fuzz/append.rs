//! Strings with put and append: unique tokens, repeated ones, and ones that can be confused.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use chaos_check::linear::Entry;
use chaos_check::linear::models::{Append, AppendOp, Call};
use rand::RngExt;

use crate::harness::{Random, Subject, fuzz};

/// Every string that operations may mention, and its number.
struct Universe {
    model: Append,
    numbers: BTreeMap<String, u32>,
}

/// Strings of up to `len_max` of these letters; each at most once if `once`.
fn universe(letters: &str, len_max: usize, once: bool) -> Universe {
    let mut strings = vec![String::new()];
    let mut next = 0;
    while let Some(string) = strings.get(next).cloned() {
        next += 1;
        let more = letters.chars().filter(|letter| string.len() < len_max && !(once && string.contains(*letter)));
        strings.extend(more.map(|letter| format!("{string}{letter}")));
    }
    let calls: Vec<Call<'_>> = strings.iter().map(|string| Call::Put(string)).collect();
    let (model, ops) = Append::new(&calls);
    let number = |op: &AppendOp| if let AppendOp::Put(number) = op { *number } else { unreachable!("it is a put") };
    let numbers = ops.iter().map(number);
    Universe { model, numbers: strings.iter().cloned().zip(numbers).collect() }
}

static ONCE: LazyLock<Universe> = LazyLock::new(|| universe("abcdefghi", 4, true));
static FEW: LazyLock<Universe> = LazyLock::new(|| universe("ab", 6, false));

struct Strings {
    universe: &'static Universe,
    /// Tokens are drawn from these; empty: each is new.
    tokens: &'static [&'static str],
    /// In how many of a hundred operations other than gets there is a put.
    puts: u32,
    now: String,
    used: u8,
    /// Texts of puts and of appends in the history.
    texts: RefCell<[Vec<u32>; 2]>,
}

impl Strings {
    fn number(&self, text: &str) -> u32 {
        self.universe.numbers[text]
    }

    /// All ways to make `value` from a put and appends of the history.
    fn parses(&self, value: &str) -> Vec<Vec<(bool, u32)>> {
        let texts = self.texts.borrow();
        let mut open: Vec<(String, Vec<(bool, u32)>)> = vec![(String::new(), Vec::new())];
        open.extend(texts[0].iter().map(|put| (self.universe.model.text(*put).to_owned(), vec![(true, *put)])));
        let mut parses = Vec::new();
        while let Some((text, parts)) = open.pop().filter(|_| parses.len() < 3) {
            if text == value {
                parses.push(parts);
                continue;
            }
            for append in texts[1].iter().filter(|append| !self.universe.model.text(**append).is_empty()) {
                let longer = format!("{text}{}", self.universe.model.text(*append));
                if value.starts_with(&longer) {
                    open.push((longer, parts.iter().copied().chain([(false, *append)]).collect()));
                }
            }
        }
        parses
    }

    fn token(&mut self, random: &mut Random) -> u32 {
        if self.tokens.is_empty() {
            self.used += 1;
            let letter = char::from(b'a' + (self.used - 1) % 9);
            self.number(&letter.to_string())
        } else {
            self.number(self.tokens[random.random_range(0..self.tokens.len())])
        }
    }
}

impl Subject for Strings {
    type Model = Append;
    type State = Vec<(bool, u32)>;

    fn initial(&self) -> Vec<(bool, u32)> {
        Vec::new()
    }

    fn apply(&self, state: &Vec<(bool, u32)>, op: &AppendOp) -> Option<Vec<(bool, u32)>> {
        let model = &self.universe.model;
        let possible = match op {
            AppendOp::Put(text) => return Some(vec![(true, *text)]),
            AppendOp::Append(text) if model.text(*text).is_empty() => true,
            AppendOp::Append(text) => return Some(state.iter().copied().chain([(false, *text)]).collect()),
            AppendOp::Get(text) => {
                state.iter().map(|(_, text)| model.text(*text)).collect::<String>() == model.text(*text)
            }
            AppendOp::Saw { value, among } => {
                let parses = self.parses(model.text(*value));
                assert!((1..=2).contains(&parses.len()), "{} can be told apart", model.text(*value));
                let asked = |parts: &[(bool, u32)]| -> Vec<(bool, u32)> {
                    parts.iter().copied().filter(|(put, text)| *put || among.contains(text)).collect()
                };
                parses.iter().any(|parse| asked(state) == asked(parse))
            }
            AppendOp::Torn(_) | AppendOp::Normal(_) => false,
        };
        possible.then(|| state.clone())
    }

    fn propose(&mut self, random: &mut Random, _process: usize) -> AppendOp {
        let mut seen = self.now.clone();
        if random.random_ratio(1, 5) && !seen.is_empty() {
            let cut = random.random_range(0..seen.len());
            let rest = seen.split_off(cut);
            seen.extend(rest.chars().rev().take(random.random_range(0..3)));
        }
        match self.universe.numbers.get(&seen) {
            Some(number) if random.random_bool(0.5) => AppendOp::Get(*number),
            _ if random.random_ratio(self.puts, 100) => AppendOp::Put(self.token(random)),
            _ => AppendOp::Append(self.token(random)),
        }
    }

    fn took(&mut self, _process: usize, op: &AppendOp) {
        match op {
            AppendOp::Put(text) => self.universe.model.text(*text).clone_into(&mut self.now),
            AppendOp::Append(text) => self.now.push_str(self.universe.model.text(*text)),
            AppendOp::Get(_) | AppendOp::Saw { .. } | AppendOp::Torn(_) | AppendOp::Normal(_) => {}
        }
    }

    fn model(&self, entries: &[Entry<AppendOp>]) -> Append {
        let mut texts: [Vec<u32>; 2] = Default::default();
        for entry in entries {
            match entry.what {
                AppendOp::Put(text) => texts[0].push(text),
                AppendOp::Append(text) => texts[1].push(text),
                AppendOp::Get(_) | AppendOp::Saw { .. } | AppendOp::Torn(_) | AppendOp::Normal(_) => {}
            }
        }
        texts.iter_mut().for_each(|texts| {
            texts.sort_unstable();
            texts.dedup();
        });
        *self.texts.borrow_mut() = texts;
        self.universe.model.of_part(entries.iter().map(|entry| &entry.what))
    }
}

fn strings(universe: &'static Universe, tokens: &'static [&'static str], puts: u32) -> Strings {
    Strings { universe, tokens, puts, now: String::new(), used: 0, texts: RefCell::default() }
}

#[test]
fn strings_of_unique_tokens_agree_with_brute_force() {
    fuzz("append of unique tokens", |random| strings(&ONCE, &[], if random.random_bool(0.3) { 0 } else { 25 }));
}

#[test]
fn strings_of_repeated_tokens_agree_with_brute_force() {
    fuzz("append of repeated tokens", |random| {
        strings(&FEW, &["a", "b"], if random.random_bool(0.5) { 0 } else { 25 })
    });
}

#[test]
fn strings_of_ambiguous_tokens_agree_with_brute_force() {
    fuzz("append of ambiguous tokens", |_| strings(&FEW, &["a", "b", "ab", "aa", ""], 25));
}
