//! When scenarios run. `timetable` and `agenda` are pure: the time is an argument. `driver` is the loop that sleeps,
//! asks the agenda and starts what is due; no run can hold it up or end it.

mod agenda;
mod driver;
mod pace;
mod timetable;

pub use agenda::{Agenda, Happening, Moment, Scheduled, Stand, Start, TooMany};
pub use driver::{Asked, Begun, Handle, Held, Runs, start};
pub use timetable::Timetable;
