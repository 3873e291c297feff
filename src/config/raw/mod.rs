//! What is written, key by key, without defaults and look-ups. These types are the grammar: the reader and the JSON
//! Schema both come from them.

mod main_file;
mod named;
mod scenario;

pub(crate) use main_file::{
    RawCanary, RawChangeWindow, RawChanged, RawDkim, RawImap, RawMailbox, RawMain, RawPlatform,
    RawSender, RawSeverity, RawTls, RawWindow,
};
pub(crate) use named::Named;
pub(crate) use scenario::{
    RawAddresses, RawForEach, RawPreference, RawScenario, RawSchedule, RawStep, RawStepsRun,
    STEP_KEYS,
};
