//! Tasks, time and what tasks wait for.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use runtime::sync::{budget::Budget, oneshot, queue, watch::Watch};
use runtime::{TimedOut, now, sleep, spawn, timeout, yield_now};

use super::on_both_machines;

#[test]
fn sleepers_wake_in_the_order_of_their_deadlines_and_not_before() {
    on_both_machines(|_| async {
        let woken = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = [30u64, 10, 20]
            .into_iter()
            .map(|ms| {
                let woken = woken.clone();
                spawn(async move {
                    let since = now();
                    sleep(Duration::from_millis(ms)).await;
                    assert!(Duration::from_millis(ms) <= now() - since);
                    woken.borrow_mut().push(ms);
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        assert_eq!(*woken.borrow(), [10, 20, 30]);
    });
}

#[test]
fn a_timeout_drops_what_takes_too_long() {
    on_both_machines(|_| async {
        struct SetOnDrop(Rc<RefCell<bool>>);
        impl Drop for SetOnDrop {
            fn drop(&mut self) {
                *self.0.borrow_mut() = true;
            }
        }
        let dropped = Rc::new(RefCell::new(false));
        let guard = SetOnDrop(dropped.clone());
        let slow = async move {
            let _guard = guard;
            sleep(Duration::from_secs(3600)).await;
        };
        assert_eq!(timeout(Duration::from_millis(1), slow).await, Err(TimedOut));
        assert!(*dropped.borrow());
        assert_eq!(timeout(Duration::from_secs(3600), async { 5 }).await, Ok(5));
    });
}

#[test]
fn an_aborted_task_goes_no_further() {
    on_both_machines(|_| async {
        let steps = Rc::new(RefCell::new(0));
        let counted = steps.clone();
        let task = spawn(async move {
            loop {
                *counted.borrow_mut() += 1;
                yield_now().await;
            }
        });
        sleep(Duration::from_millis(1)).await;
        task.abort();
        let at_abort = *steps.borrow();
        assert!(0 < at_abort);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(*steps.borrow(), at_abort);
    });
}

#[test]
fn a_value_arrives_once_or_its_absence_is_told() {
    on_both_machines(|_| async {
        let (sender, receiver) = oneshot::channel();
        spawn(async move { sender.send(7) });
        assert_eq!(receiver.await, Ok(7));
        let (sender, receiver) = oneshot::channel::<()>();
        spawn(async move { drop(sender) });
        assert_eq!(receiver.await, Err(oneshot::Closed));
    });
}

#[test]
fn a_full_queue_makes_its_senders_wait() {
    on_both_machines(|_| async {
        let (sender, mut receiver) = queue::bounded(2);
        let in_flight = Rc::new(RefCell::new(0));
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let (sender, in_flight) = (sender.clone(), in_flight.clone());
                spawn(async move {
                    for n in 0..10 {
                        sender.send(n).await.unwrap();
                        *in_flight.borrow_mut() += 1;
                        assert!(*in_flight.borrow() <= 3, "two in the queue, one just taken out");
                    }
                })
            })
            .collect();
        drop(sender);
        let mut sum = 0;
        while let Some(n) = receiver.receive().await {
            *in_flight.borrow_mut() -= 1;
            sum += n;
        }
        assert_eq!(sum, 3 * 45);
        for task in tasks {
            task.await;
        }
    });
}

#[test]
fn a_watch_tells_every_waiter_of_the_change_it_waits_for() {
    on_both_machines(|_| async {
        let watch = Rc::new(Watch::new(0));
        let waiters: Vec<_> =
            [3, 1, 2]
                .into_iter()
                .map(|wanted| {
                    let watch = watch.clone();
                    spawn(async move {
                        watch.wait_for(|value| (wanted <= *value).then_some(*value)).await
                    })
                })
                .collect();
        for value in 1..=3 {
            yield_now().await;
            watch.set(value);
        }
        for waiter in waiters {
            assert!(waiter.await <= 3);
        }
    });
}

#[test]
fn a_budget_is_never_exceeded_and_a_large_request_is_not_starved() {
    on_both_machines(|_| async {
        let budget = Budget::new(10);
        let served = Rc::new(RefCell::new(Vec::new()));
        let held = budget.take(8).await;
        let tasks: Vec<_> = [9usize, 1, 100, 3]
            .into_iter()
            .map(|amount| {
                // Each waits in line from the moment it is made, whichever task runs first.
                let (served, budget) = (served.clone(), budget.clone());
                let mut take = Box::pin(budget.take(amount));
                let waits = take
                    .as_mut()
                    .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
                assert!(waits.is_pending());
                spawn(async move {
                    let share = take.await;
                    assert!(share.amount() <= 10);
                    served.borrow_mut().push(amount);
                    sleep(Duration::from_micros(10)).await;
                })
            })
            .collect();
        assert!(budget.try_take(1).is_none(), "nobody overtakes those who wait");
        drop(held);
        for task in tasks {
            task.await;
        }
        assert_eq!(*served.borrow(), [9, 1, 100, 3]);
        assert_eq!(budget.free(), 10);
    });
}
