//! Plan, schedule, execute, record: tasks, digests and resources, and no neuroscience.
