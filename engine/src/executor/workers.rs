//! Tasks in worker processes: one that crashes, or takes more memory or time than it may, is ended alone.
//!
//! A worker is this program started as `neuroflow worker`. It reads orders from its standard input and writes messages to its standard output, one JSON
//! document a line. It ends when its input ends, so none outlives the run, however that ends.

use super::{Capacity, Event, Executor, Order, Report};
use crate::outcome::{Ending, Usage};
use crate::process::{Watched, ended_by};
use crate::schedule::WorkerCommand;
use crate::task::TaskId;
use crate::worker::Message;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// How often memory and time are looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Worker processes, started when they are needed and kept for the next task.
pub struct Workers {
    shared: Arc<Shared>,
}

struct Shared {
    command: WorkerCommand,
    idle: Mutex<Vec<Worker>>,
    cancelled: AtomicBool,
}

impl Workers {
    /// Workers that are started by this command.
    pub fn new(command: WorkerCommand) -> Workers {
        Workers { shared: Arc::new(Shared { command, idle: Mutex::new(Vec::new()), cancelled: AtomicBool::new(false) }) }
    }
}

impl Executor for Workers {
    fn name(&self) -> &str {
        "worker"
    }

    fn capacity(&self) -> Capacity {
        Capacity::Machine
    }

    fn start(&self, orders: Vec<(TaskId, Order)>, events: UnboundedSender<Event>) {
        for (task, order) in orders {
            let (shared, events) = (Arc::clone(&self.shared), events.clone());
            tokio::task::spawn_blocking(move || {
                let report = shared.perform(task, &order, &events);
                // Nobody listens any more when the run has ended.
                let _ = events.send(Event::Ended(task, Box::new(report)));
            });
        }
    }

    fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::Relaxed);
    }
}

struct Worker {
    child: Child,
    orders: ChildStdin,
    messages: mpsc::Receiver<Message>,
}

impl Worker {
    fn start(command: &WorkerCommand) -> std::io::Result<Worker> {
        let (program, arguments) = command.command.split_first().ok_or_else(|| std::io::Error::other("no worker program is known"))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        // Out of the terminal's group: Ctrl-C is the run's to answer.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let (Some(orders), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("a worker without pipes"));
        };
        let (sender, messages) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Some(message) = line.ok().and_then(|line| serde_json::from_str(&line).ok()) else { break };
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        Ok(Worker { child, orders, messages })
    }

    fn send(&mut self, order: &Order) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        self.orders.write_all(&line)?;
        self.orders.flush()
    }

    fn end(mut self) -> String {
        let _ = self.child.kill();
        self.child.wait().map_or_else(|error| error.to_string(), ended_by)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A worker whose input ends, ends; it is waited for so that no dead process is left.
        for worker in self.idle.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let Worker { mut child, orders, .. } = worker;
            drop(orders);
            let _ = child.wait();
        }
    }
}

impl Shared {
    fn worker(&self, order: &Order) -> std::io::Result<Worker> {
        // What another task left in memory must not count against a limit.
        if order.memory.is_none()
            && let Some(idle) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
        {
            return Ok(idle);
        }
        Worker::start(&self.command)
    }

    fn perform(&self, task: TaskId, order: &Order, events: &UnboundedSender<Event>) -> Report {
        let report = |ending: Ending, usage: Usage| Report { key: order.key, ending, usage };
        let began = Instant::now();
        let started = self.worker(order).and_then(|mut worker| worker.send(order).map(|()| worker));
        let mut worker = match started {
            Ok(worker) => worker,
            Err(error) => return report(Ending::Lost(format!("no worker process could be started: {error}")), Usage::default()),
        };
        let _ = events.send(Event::Started(task));
        let mut watched = Watched::new(worker.child.id());
        let ending = loop {
            match worker.messages.recv_timeout(LOOK) {
                Ok(Message::Progress(done, total)) => {
                    let _ = events.send(Event::Progress(task, done, total));
                }
                Ok(Message::Ended(mut ended)) => {
                    watched.look();
                    // Of a program it is known what it took itself.
                    ended.usage.cpu_ms = ended.usage.cpu_ms.or(watched.cpu_ms());
                    ended.usage.peak_bytes = ended.usage.peak_bytes.or(watched.peak_bytes());
                    if order.memory.is_none() && ended.key == order.key {
                        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
                    } else {
                        drop(worker.orders);
                        let _ = worker.child.wait();
                    }
                    return *ended;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let how = worker.child.wait().map_or_else(|error| error.to_string(), ended_by);
                    let message = format!("the worker process that computed it {how}; other tasks are not touched");
                    return report(Ending::Lost(message), watched.usage(began));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            watched.look();
            if self.cancelled.load(Ordering::Relaxed) {
                break Ending::Cancelled;
            }
            if let (Some(limit), Some(held)) = (order.memory, watched.held_bytes())
                && held > limit
            {
                break Ending::OutOfMemory { limit: Some(limit), peak: watched.peak_bytes() };
            }
            if let Some(limit) = order.time.filter(|limit| began.elapsed().as_secs_f64() > *limit) {
                break Ending::TimedOut { limit };
            }
        };
        worker.end();
        report(ending, watched.usage(began))
    }
}
