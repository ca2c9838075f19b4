//! Tasks in this process: fastest, and with values that are mapped, never copied.

use super::{Capacity, Event, Executor, Order, Report};
use crate::outcome::{Ending, Usage};
use crate::task::TaskId;
use crate::worker::{Tools, context_of, perform};
use neuroflow_stage::{CancelToken, Progress};
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// This process.
pub struct Local {
    tools: Arc<Tools>,
    cancel: CancelToken,
}

impl Local {
    /// Tasks run with these tools, and stop when `cancel` says so.
    pub fn new(tools: Arc<Tools>, cancel: CancelToken) -> Local {
        Local { tools, cancel }
    }
}

struct Told {
    task: TaskId,
    events: UnboundedSender<Event>,
}

impl Progress for Told {
    fn report(&self, done: u64, total: u64) {
        // Nobody listens any more when the run has ended.
        let _ = self.events.send(Event::Progress(self.task, done, total));
    }
}

impl Executor for Local {
    fn name(&self) -> &str {
        "here"
    }

    fn capacity(&self) -> Capacity {
        Capacity::Machine
    }

    fn start(&self, orders: Vec<(TaskId, Order)>, events: UnboundedSender<Event>) {
        for (task, order) in orders {
            let progress = Arc::new(Told { task, events: events.clone() });
            let context = context_of(&order, self.cancel.clone(), progress);
            let (tools, events) = (Arc::clone(&self.tools), events.clone());
            tokio::spawn(async move {
                let _ = events.send(Event::Started(task));
                let key = order.key;
                let done = tokio::task::spawn_blocking(move || perform(&order, &tools, &context)).await;
                let report = done.unwrap_or_else(|error| Report { key, ending: Ending::Bug(error.to_string()), usage: Usage::default() });
                let _ = events.send(Event::Ended(task, Box::new(report)));
            });
        }
    }

    fn cancel(&self) {
        self.cancel.cancel();
    }
}
