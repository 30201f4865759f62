//! Work shared by a few threads that live as long as the call: each takes the next chunk until none is left. Starting
//! them costs some tens of microseconds, against milliseconds of work.

use std::sync::atomic::{AtomicUsize, Ordering};

/// `work(0..count)`, in order, by up to `threads` threads taking `chunk` numbers at a time. Where `work` panics, the
/// results of its thread are `None`; the others stand.
pub(crate) fn map<T: Send>(
    threads: usize,
    count: usize,
    chunk: usize,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<Option<T>> {
    let chunk = chunk.max(1);
    let threads = threads.clamp(1, count.div_ceil(chunk).max(1));
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let begin = next.fetch_add(chunk, Ordering::Relaxed);
            if begin >= count {
                return done;
            }
            done.extend((begin..count.min(begin + chunk)).map(|i| (i, guarded(&work, i))));
        }
    };
    let mut results: Vec<Option<T>> = (0..count).map(|_| None).collect();
    let mut keep = |done: Vec<(usize, Option<T>)>| done.into_iter().for_each(|(i, value)| results[i] = value);
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        keep(run());
        others.into_iter().filter_map(|thread| thread.join().ok()).for_each(&mut keep);
    });
    results
}

/// One piece of work; a panic in it (a defect, here or in the tokenizer) costs that piece alone.
fn guarded<T>(work: &(impl Fn(usize) -> T + Sync), index: usize) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(index))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order_and_a_panic_costs_one() {
        let found = map(3, 100, 7, |i| if i == 42 { panic!("defect") } else { i * 2 });
        assert!(found[42].is_none());
        assert!((0..100).filter(|i| *i != 42).all(|i| found[i] == Some(i * 2)));
        assert!(map(4, 0, 1, |i| i).is_empty());
    }
}
