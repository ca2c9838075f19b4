//! The executor against a cluster that does what the test says.

use super::client::{ClientError, Elements, JobEnd, JobId, JobState};
use super::fake::{Fake, State, Trick, begin, done, order, perform};
use super::journal::{Entry, entries, runs};
use super::pace::Pace;
use super::{OnInterrupt, Slurm, SlurmSettings};
use crate::executor::{Event, Executor, Order, Report};
use crate::outcome::{Ending, Usage};
use crate::schedule::WorkerCommand;
use crate::task::TaskId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A folder as a cache, a cluster, and an executor on both.
struct Place {
    cache: Arc<TempDir>,
    cluster: Arc<Fake>,
    slurm: Slurm,
    sender: UnboundedSender<Event>,
    events: UnboundedReceiver<Event>,
    remarks: Vec<String>,
}

fn quick() -> Pace {
    let ms = Duration::from_millis;
    Pace {
        quiet: ms(20),
        window: ms(60),
        most_window: ms(60),
        look: ms(2),
        poll: ms(5),
        most_poll: ms(10),
        retry: ms(5),
        most_retry: ms(10),
        farewell: ms(500),
    }
}

fn settings() -> SlurmSettings {
    SlurmSettings { report_wait: Duration::from_millis(10), max_jobs: 10, ..SlurmSettings::default() }
}

impl Place {
    fn new(settings: SlurmSettings) -> Place {
        Place::on(Arc::new(tempfile::tempdir().unwrap()), Arc::new(Fake::default()), settings)
    }

    fn on(cache: Arc<TempDir>, cluster: Arc<Fake>, settings: SlurmSettings) -> Place {
        let (sender, events) = unbounded_channel();
        let worker = WorkerCommand { command: vec!["neuroflow".into(), "worker".into()] };
        let slurm = Slurm::paced("far", settings, worker, Arc::clone(&cluster) as Arc<dyn super::ClusterClient>, quick());
        Place { cache, cluster, slurm, sender, events, remarks: Vec::new() }
    }

    fn order(&self, number: u64) -> Order {
        Order { cache: self.cache.path().to_path_buf(), ..order(number) }
    }

    fn start(&self, numbers: std::ops::Range<u64>) {
        self.start_with(numbers, |_| ());
    }

    fn start_with(&self, numbers: std::ops::Range<u64>, change: impl Fn(&mut Order)) {
        let orders = numbers.map(|number| {
            let mut order = self.order(number);
            change(&mut order);
            (number as TaskId, order)
        });
        self.slurm.start(orders.collect(), self.sender.clone());
    }

    /// The answers to so many orders, by task.
    #[track_caller]
    fn answers(&mut self, count: usize) -> BTreeMap<TaskId, Report> {
        let mut answers = BTreeMap::new();
        let until = Instant::now() + Duration::from_secs(30);
        while answers.len() < count {
            match self.events.try_recv() {
                Ok(Event::Ended(task, report)) => assert!(answers.insert(task, *report).is_none(), "task {task} was answered twice"),
                Ok(Event::Remark(text)) => self.remarks.push(text),
                Ok(_) => {}
                Err(_) => {
                    assert!(
                        Instant::now() < until,
                        "only {answers:?}; remarks: {:?}; calls: {:?}",
                        self.remarks,
                        self.cluster.state().calls
                    );
                    std::thread::yield_now();
                }
            }
        }
        answers
    }

    #[track_caller]
    fn answer(&mut self) -> Ending {
        self.answers(1).into_values().next().unwrap().ending
    }

    fn journal(&self) -> Vec<Entry> {
        runs(self.cache.path()).iter().flat_map(|run| entries(run)).collect()
    }
}

/// How often the list of jobs was asked for.
fn lists(state: &State) -> usize {
    state.calls.get("jobs").copied().unwrap_or(0)
}

fn is_done(report: &Report) -> bool {
    matches!(report.ending, Ending::Done(_))
}

fn away() -> ClientError {
    ClientError::Away("Unable to contact slurm controller".into())
}

#[test]
fn orders_of_a_moment_are_one_array_and_reports_answer_them() {
    let mut place = Place::new(settings());
    place.start(0..25);
    place.start(25..30);
    let folder = place.cluster.folders(1).remove(0);
    assert_eq!(place.cluster.state().arrays[0].1.elements, 10);
    (0..10).for_each(|index| perform(&folder, index));
    let answers = place.answers(30);
    assert!(answers.values().all(is_done));
    assert!(answers.values().all(|report| report.usage.executor == "far"));
    assert_eq!(place.cluster.state().calls["submit"], 1);
    drop(place.slurm);
    let run = runs(place.cache.path()).remove(0);
    let kinds: Vec<bool> = entries(&run).iter().map(|entry| matches!(entry, Entry::Ended { .. })).collect();
    assert_eq!(kinds, [false, false, true]);
    assert!(!folder.path().exists(), "what went well leaves no files");
}

#[test]
fn what_needs_more_gets_an_array_of_its_own() {
    let mut place = Place::new(settings());
    place.start(0..4);
    place.start_with(4..8, |order| order.memory = Some(1 << 30));
    for (array, folder) in place.cluster.folders(2).iter().enumerate() {
        let elements = place.cluster.state().arrays[array].1.elements;
        (0..elements).for_each(|index| perform(folder, index));
    }
    assert!(place.answers(8).values().all(is_done));
}

#[test]
fn a_cluster_holds_no_more_jobs_than_it_may() {
    let mut place = Place::new(SlurmSettings { max_jobs: 4, ..settings() });
    place.start_with(0..10, |order| order.expected_ms = Some(1e6));
    let (mut done, mut performed) = (0, 0);
    while done < 10 {
        let folder = place.cluster.folders(performed + 1).remove(performed);
        let elements = place.cluster.state().arrays[performed].1.elements;
        (0..elements).for_each(|index| perform(&folder, index));
        performed += 1;
        // Looked at first: what is answered later frees room for what was not yet there.
        let submitted: usize = place.cluster.state().arrays.iter().map(|(_, array, _)| array.elements).sum();
        done += place.answers(elements).len();
        assert!(submitted <= done + 4, "{submitted} jobs, of which {done} are over");
    }
    assert_eq!(done, 10);
}

#[test]
fn a_lost_node_costs_a_submission_and_not_the_task() {
    let mut place = Place::new(settings());
    place.start(0..1);
    let folder = place.cluster.folders(1).remove(0);
    begin(&folder, &place.order(0));
    place.cluster.end(0, 0, JobEnd::NodeFailed);
    let folder = place.cluster.folders(2).remove(1);
    perform(&folder, 0);
    assert!(is_done(&place.answers(1)[&0]));
}

#[test]
fn a_task_that_is_lost_again_and_again_fails() {
    let mut place = Place::new(SlurmSettings { resubmit: 2, ..settings() });
    place.start(0..1);
    for array in 0..3 {
        begin(&place.cluster.folders(array + 1)[array], &place.order(0));
        place.cluster.end(array, 0, JobEnd::NodeFailed);
    }
    let Ending::Lost(reason) = place.answer() else { panic!() };
    assert_eq!(reason, "job 3_0 of FAKE was lost because its node failed (the 3th job that was lost with it)");
    assert_eq!(place.cluster.state().arrays.len(), 3);
}

#[test]
fn a_job_that_dies_takes_only_the_task_it_was_at() {
    let mut place = Place::new(SlurmSettings { max_jobs: 1, ..settings() });
    place.start(0..3);
    let folder = place.cluster.folders(1).remove(0);
    let orders = folder.orders(0).unwrap();
    folder.report(&done(&orders[0])).unwrap();
    begin(&folder, &orders[1]);
    place.cluster.state().words = "signal 9".into();
    place.cluster.end(0, 0, JobEnd::OutOfMemory);
    let folder = place.cluster.folders(2).remove(1);
    perform(&folder, 0);
    let answers = place.answers(3);
    assert_eq!(answers[&1].ending, Ending::OutOfMemory { limit: None, peak: None });
    assert!(is_done(&answers[&0]) && is_done(&answers[&2]));
}

#[test]
fn a_job_that_somebody_cancelled_fails_and_is_not_submitted_again() {
    let mut place = Place::new(settings());
    place.start(0..1);
    place.cluster.folders(1);
    place.cluster.state().words = "cancelled by user 1000".into();
    place.cluster.end(0, 0, JobEnd::Cancelled);
    let Ending::Refused { message, .. } = place.answer() else { panic!() };
    assert_eq!(message, "job 1_0 of FAKE was cancelled by user 1000");
    assert_eq!(place.cluster.state().arrays.len(), 1);
}

#[test]
fn a_job_that_is_queued_again_is_not_lost() {
    let mut place = Place::new(SlurmSettings { report_wait: Duration::from_secs(1), ..settings() });
    place.start(0..1);
    let folder = place.cluster.folders(1).remove(0);
    place.cluster.end(0, 0, JobEnd::NodeFailed);
    let seen = lists(&place.cluster.state()) + 2;
    drop(place.cluster.until(|state| lists(state) > seen));
    place.cluster.set(0, 0, JobState::Waiting("BeginTime".into()));
    let seen = lists(&place.cluster.state()) + 2;
    drop(place.cluster.until(|state| lists(state) > seen));
    perform(&folder, 0);
    assert!(is_done(&place.answers(1)[&0]));
    assert_eq!(place.cluster.state().arrays.len(), 1);
}

#[test]
fn a_list_that_is_cut_short_loses_nothing() {
    let mut place = Place::new(settings());
    place.cluster.trick("jobs", vec![Trick::Nothing; 20]);
    place.start(0..5);
    let folder = place.cluster.folders(1).remove(0);
    drop(place.cluster.until(|state| lists(state) > 22));
    (0..5).for_each(|index| perform(&folder, index));
    assert!(place.answers(5).values().all(is_done));
    assert_eq!(place.cluster.state().arrays.len(), 1);
}

#[test]
fn a_job_that_nobody_remembers_is_submitted_again() {
    let mut place = Place::new(settings());
    place.cluster.state().forgotten = true;
    place.start(0..1);
    place.cluster.folders(1);
    place.cluster.end(0, 0, JobEnd::Completed);
    perform(&place.cluster.folders(2)[1], 0);
    assert!(is_done(&place.answers(1)[&0]));
}

#[test]
fn a_submission_whose_answer_was_lost_is_found_by_its_tag() {
    let mut place = Place::new(settings());
    place.cluster.trick("submit", [Trick::DoneButFail(away())]);
    place.start(0..3);
    let folder = place.cluster.folders(1).remove(0);
    (0..3).for_each(|index| perform(&folder, index));
    assert!(place.answers(3).values().all(is_done));
    place.start(3..4);
    perform(&place.cluster.folders(2)[1], 0);
    place.answers(1);
    assert_eq!(place.cluster.state().calls["submit"], 2);
}

#[test]
fn a_scheduler_that_is_away_is_waited_for_with_one_word() {
    let mut place = Place::new(settings());
    place.cluster.trick("limits", vec![Trick::Fail(away()); 3]);
    place.cluster.trick("submit", vec![Trick::Fail(away()); 3]);
    place.cluster.trick("jobs", vec![Trick::Fail(away()); 3]);
    place.start(0..2);
    let folder = place.cluster.folders(1).remove(0);
    (0..2).for_each(|index| perform(&folder, index));
    assert!(place.answers(2).values().all(is_done));
    assert_eq!(place.cluster.state().arrays.len(), 1);
    let said = "FAKE does not answer; its jobs go on, and it is asked again and again: Unable to contact slurm controller";
    assert_eq!(place.remarks, [said]);
}

#[test]
fn a_scheduler_that_stays_away_fails_the_run_in_the_end() {
    let mut place = Place::new(SlurmSettings { outage: Duration::from_millis(100), ..settings() });
    place.cluster.trick("limits", vec![Trick::Fail(away()); 1000]);
    place.start(0..2);
    let answers = place.answers(2);
    let Ending::World(message) = &answers[&0].ending else { panic!() };
    assert_eq!(
        message,
        "FAKE has not answered for 100 ms: Unable to contact slurm controller; its jobs go on, and the next run takes what they give"
    );
}

#[test]
fn a_scheduler_that_answers_questions_and_takes_nothing_is_not_asked_for_ever() {
    let mut place = Place::new(SlurmSettings { outage: Duration::from_millis(100), ..settings() });
    place.cluster.trick("submit", vec![Trick::Fail(away()); 1000]);
    place.start(0..2);
    let answers = place.answers(2);
    assert!(
        answers.values().all(|report| matches!(&report.ending, Ending::World(text) if text.contains("Unable to contact"))),
        "{answers:?}"
    );
}

#[test]
fn what_is_refused_is_told_and_not_tried_again() {
    let mut place = Place::new(settings());
    place.cluster.trick("submit", [Trick::Fail(ClientError::Refused("invalid partition specified: nope".into()))]);
    place.start(0..3);
    let answers = place.answers(3);
    let Ending::Refused { message, help, again } = &answers[&1].ending else { panic!() };
    assert_eq!(message, "FAKE refused the job: invalid partition specified: nope");
    assert!(help.as_ref().unwrap().contains("partition") && !again);
    assert_eq!(place.cluster.state().calls["submit"], 1);
}

#[test]
fn a_full_cluster_is_waited_for() {
    let mut place = Place::new(settings());
    place.cluster.trick("submit", [Trick::Fail(ClientError::Full("AssocMaxSubmitJobLimit".into()))]);
    place.start(0..1);
    perform(&place.cluster.folders(1)[0], 0);
    assert!(is_done(&place.answers(1)[&0]));
    assert!(place.remarks.iter().any(|text| text.contains("takes no more jobs for now")), "{:?}", place.remarks);
}

#[test]
fn a_cancelled_run_cancels_its_own_jobs_by_number() {
    let mut place = Place::new(settings());
    place.start(0..3);
    let folder = place.cluster.folders(1).remove(0);
    perform(&folder, 0);
    let mut answers = place.answers(1);
    place.cluster.trick("cancel", [Trick::Fail(away())]);
    place.slurm.cancel();
    answers.extend(place.answers(2));
    assert_eq!(answers.values().filter(|report| report.ending == Ending::Cancelled).count(), 2);
    assert_eq!(place.cluster.state().cancelled, [(JobId("1".into()), Elements::All)]);
    place.start(7..9);
    assert!(place.answers(2).values().all(|report| report.ending == Ending::Cancelled));
    assert!(matches!(place.journal().last(), Some(Entry::Cancelled { .. })));
}

#[test]
fn a_cancelled_run_does_not_wait_for_a_scheduler_for_ever() {
    let mut place = Place::new(settings());
    place.start(0..1);
    place.cluster.folders(1);
    drop(place.cluster.until(|state| lists(state) > 0));
    place.cluster.trick("cancel", vec![Trick::Fail(away()); 1000]);
    place.slurm.cancel();
    assert_eq!(place.answer(), Ending::Cancelled);
    assert!(place.remarks.iter().any(|text| text.contains("`scancel 1` does it")), "{:?}", place.remarks);
}

#[test]
fn a_run_that_begins_nothing_more_keeps_what_has_begun() {
    let mut place = Place::new(SlurmSettings { max_jobs: 2, ..settings() });
    place.start_with(0..4, |order| order.expected_ms = Some(1e6));
    let folder = place.cluster.folders(1).remove(0);
    drop(place.cluster.until(|state| lists(state) > 0));
    let first = folder.orders(0).unwrap().remove(0);
    begin(&folder, &first);
    while !matches!(place.events.blocking_recv().unwrap(), Event::Started(0)) {}
    place.cluster.trick("cancel", [Trick::Fail(away())]);
    place.slurm.stop();
    let answers = place.answers(3);
    assert!(answers.values().all(|report| report.ending == Ending::Cancelled), "{answers:?}");
    assert_eq!(place.cluster.state().cancelled, [(JobId("1".into()), Elements::Some(vec![1]))]);
    folder.report(&done(&first)).unwrap();
    assert!(is_done(&place.answers(1)[&0]));
    assert_eq!(place.cluster.state().arrays.len(), 1);
}

#[test]
fn a_report_that_comes_after_its_job_was_given_up_still_counts() {
    let mut place = Place::new(settings());
    place.start(0..2);
    let folder = place.cluster.folders(1).remove(0);
    place.cluster.end(0, 0, JobEnd::NodeFailed);
    place.cluster.folders(2);
    perform(&folder, 0);
    assert!(is_done(&place.answers(1)[&0]));
    perform(&folder, 1);
    assert!(is_done(&place.answers(1)[&1]));
}

#[test]
fn a_run_after_a_killed_one_waits_for_its_jobs() {
    let first = Place::new(settings());
    first.start(0..6);
    let folder = first.cluster.folders(1).remove(0);
    let (cache, cluster) = (Arc::clone(&first.cache), Arc::clone(&first.cluster));
    drop(cluster.until(|state| lists(state) > 0));
    // Like a killed process: nothing is answered, nothing noted, the lock is free.
    drop(first);
    let mut second = Place::on(cache, Arc::clone(&cluster), settings());
    second.start(0..8);
    // The two that the first run did not want.
    perform(&cluster.folders(2)[1], 0);
    perform(&cluster.folders(2)[1], 1);
    (0..6).for_each(|index| perform(&folder, index));
    assert!(second.answers(8).values().all(is_done));
    assert_eq!(cluster.state().calls["submit"], 2);
    assert!(second.remarks.iter().any(|text| text.contains("an earlier run submitted: FAKE 1")), "{:?}", second.remarks);
}

#[test]
fn a_run_killed_before_it_had_the_answer_is_found_by_its_tag() {
    let first = Place::new(settings());
    first.cluster.trick("submit", [Trick::DoneButFail(away())]);
    first.cluster.trick("jobs", vec![Trick::Fail(away()); 100_000]);
    first.start(0..2);
    let folder = first.cluster.folders(1).remove(0);
    let (cache, cluster) = (Arc::clone(&first.cache), Arc::clone(&first.cluster));
    drop(first);
    cluster.state().tricks.clear();
    let mut second = Place::on(cache, Arc::clone(&cluster), settings());
    second.start(0..2);
    drop(cluster.until(|state| lists(state) > 3));
    (0..2).for_each(|index| perform(&folder, index));
    assert!(second.answers(2).values().all(is_done));
    assert_eq!(cluster.state().calls["submit"], 1);
}

#[test]
fn what_a_killed_run_submitted_and_is_gone_is_submitted_anew() {
    let first = Place::new(settings());
    first.start(0..2);
    let folder = first.cluster.folders(1).remove(0);
    let (cache, cluster) = (Arc::clone(&first.cache), Arc::clone(&first.cluster));
    drop(first);
    (0..2).for_each(|index| cluster.end(0, index, JobEnd::Completed));
    let mut second = Place::on(cache, Arc::clone(&cluster), settings());
    second.start(0..2);
    (0..2).for_each(|index| perform(&cluster.folders(2)[1], index));
    assert!(second.answers(2).values().all(is_done));
    assert!(!folder.path().exists(), "what is over is cleared away");
}

#[test]
fn a_failure_of_an_earlier_run_is_no_answer() {
    let first = Place::new(SlurmSettings { max_jobs: 1, ..settings() });
    first.start(0..2);
    let folder = first.cluster.folders(1).remove(0);
    let orders = folder.orders(0).unwrap();
    let (cache, cluster) = (Arc::clone(&first.cache), Arc::clone(&first.cluster));
    drop(first);
    folder.report(&Report { key: orders[0].key, ending: Ending::Bug("x".into()), usage: Usage::default() }).unwrap();
    let mut second = Place::on(cache, Arc::clone(&cluster), settings());
    second.start(0..2);
    perform(&cluster.folders(2)[1], 0);
    folder.report(&done(&orders[1])).unwrap();
    assert!(second.answers(2).values().all(is_done));
}

#[test]
fn jobs_that_are_left_are_taken_up_by_the_next_run() {
    let mut first = Place::new(SlurmSettings { on_interrupt: OnInterrupt::Leave, ..settings() });
    first.start(0..2);
    let folder = first.cluster.folders(1).remove(0);
    drop(first.cluster.until(|state| lists(state) > 0));
    first.slurm.cancel();
    assert!(first.answers(2).values().all(|report| report.ending == Ending::Cancelled));
    assert!(first.cluster.state().cancelled.is_empty());
    let (cache, cluster) = (Arc::clone(&first.cache), Arc::clone(&first.cluster));
    drop(first);
    let mut second = Place::on(cache, Arc::clone(&cluster), settings());
    second.start(0..2);
    drop(cluster.until(|state| lists(state) > 3));
    (0..2).for_each(|index| perform(&folder, index));
    assert!(second.answers(2).values().all(is_done));
    assert_eq!(cluster.state().calls["submit"], 1);
}

#[test]
fn jobs_of_a_run_that_lives_are_waited_for_but_never_cancelled() {
    let mut first = Place::new(settings());
    first.start(0..2);
    let folder = first.cluster.folders(1).remove(0);
    let (cache, cluster) = (Arc::clone(&first.cache), Arc::clone(&first.cluster));
    let mut second = Place::on(cache, Arc::clone(&cluster), settings());
    second.start(0..2);
    drop(cluster.until(|state| lists(state) > 6));
    second.slurm.cancel();
    assert!(second.answers(2).values().all(|report| report.ending == Ending::Cancelled));
    assert!(cluster.state().cancelled.is_empty());
    (0..2).for_each(|index| perform(&folder, index));
    assert!(first.answers(2).values().all(is_done));
    assert_eq!(cluster.state().calls["submit"], 1);
}

#[test]
fn one_key_for_two_tasks_is_one_job_and_two_answers() {
    let mut place = Place::new(settings());
    let same = place.order(0);
    place.slurm.start(vec![(0, same.clone()), (1, same)], place.sender.clone());
    let folder = place.cluster.folders(1).remove(0);
    assert_eq!(folder.orders(0).unwrap().len(), 1);
    perform(&folder, 0);
    assert!(place.answers(2).values().all(is_done));
}

#[test]
fn a_job_that_waits_for_something_that_never_comes_is_told() {
    let mut place = Place::new(settings());
    place.start(0..2);
    let folder = place.cluster.folders(1).remove(0);
    (0..2).for_each(|index| place.cluster.set(0, index, JobState::Waiting("JobHeldAdmin".into())));
    let seen = lists(&place.cluster.state()) + 3;
    drop(place.cluster.until(|state| lists(state) > seen));
    (0..2).for_each(|index| perform(&folder, index));
    place.answers(2);
    assert_eq!(place.remarks, ["job 1 of FAKE waits: JobHeldAdmin"]);
}

#[test]
fn a_cache_that_can_not_be_written_fails_the_orders() {
    let mut place = Place::new(settings());
    std::fs::write(place.cache.path().join("slurm"), "a file").unwrap();
    place.start(0..2);
    assert!(place.answers(2).values().all(|report| matches!(&report.ending, Ending::World(text) if text.contains("slurm"))));
}
