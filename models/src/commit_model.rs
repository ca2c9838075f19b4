//! Group commit: a mark is never before what it vouches for.

use crate::commit::{Commit, Durable};
use crate::explore;
use loom::sync::{Arc, Mutex};
use loom::thread;
use std::collections::BTreeSet;

/// Records in the order they were appended, objects that are on the disk.
struct Model {
    commit: Commit<u8>,
    records: Mutex<Vec<u8>>,
    synced: Mutex<BTreeSet<u8>>,
}

impl Durable for Model {
    type Object = u8;
    type Extent = usize;
    type Error = ();

    fn extent(&self) -> usize {
        self.records.lock().unwrap().len()
    }

    fn sync_objects(&self, objects: &[u8]) -> Result<(), ()> {
        objects.iter().for_each(|object| _ = self.synced.lock().unwrap().insert(*object));
        Ok(())
    }

    fn mark(&self, extent: &usize) -> Result<(), ()> {
        let records = self.records.lock().unwrap();
        let synced = self.synced.lock().unwrap();
        assert!(records[..*extent].iter().all(|object| synced.contains(object)), "a mark vouches for an object that is not on the disk");
        Ok(())
    }
}

#[test]
fn a_mark_is_never_before_what_it_vouches_for() {
    explore(|| {
        let (records, synced) = (Mutex::new(Vec::new()), Mutex::new(BTreeSet::new()));
        let model = Arc::new(Model { commit: Commit::default(), records, synced });
        let publish = |object: u8| {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                model.commit.note(object);
                model.records.lock().unwrap().push(object);
            })
        };
        let publishing = publish(1);
        let committing = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.commit.run(&*model).unwrap())
        };
        model.commit.note(2);
        model.records.lock().unwrap().push(2);
        model.commit.run(&*model).unwrap();
        publishing.join().unwrap();
        committing.join().unwrap();
        model.commit.run(&*model).unwrap();
        assert_eq!(model.synced.lock().unwrap().len(), 2);
    });
}
