//! All processors at one list: who is through with an item takes the next, and the answers come back in the order of the list.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// What `work` makes of each item, in their order. Once `stop` says yes no further item is begun, so what comes back is the answers to
/// the first so many.
pub fn map<T: Sync, R: Send>(
    threads: NonZeroUsize,
    items: &[T],
    stop: &(dyn Fn() -> bool + Sync),
    work: &(dyn Fn(&T) -> R + Sync),
) -> Vec<R> {
    if threads.get() == 1 || items.len() < 2 {
        return items.iter().take_while(|_| !stop()).map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads.get().min(items.len()) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while !stop() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    // Nobody listens only if the other end has panicked.
                    let _ = sender.send((index, work(item)));
                }
            });
        }
    });
    drop(sender);
    let mut done: Vec<(usize, R)> = receiver.into_iter().collect();
    done.sort_by_key(|(index, _)| *index);
    // Items are begun in order, and what is begun is finished; but a thread may have stopped between taking a number and its work.
    done.into_iter().enumerate().take_while(|(place, (index, _))| place == index).map(|(_, (_, made))| made).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..100).collect();
        for threads in [1, 2, 7] {
            let made = map(NonZeroUsize::new(threads).unwrap(), &items, &|| false, &|item| item * item);
            assert_eq!(made, items.iter().map(|item| item * item).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_stopped_has_done_the_first_of_them() {
        let items: Vec<usize> = (0..1_000).collect();
        let done = AtomicUsize::new(0);
        let stop = || done.load(Ordering::Relaxed) >= 10;
        let made = map(NonZeroUsize::new(3).unwrap(), &items, &stop, &|item| {
            done.fetch_add(1, Ordering::Relaxed);
            *item
        });
        assert!((10..20).contains(&made.len()), "{}", made.len());
        assert_eq!(made, items[..made.len()]);
    }
}
