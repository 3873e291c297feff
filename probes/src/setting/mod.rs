//! Values as they are written in YAML: each is parsed once and cannot be wrong afterwards.

mod domain;
mod folder;
mod name_server;
mod parsed;
mod period;
mod problem;
mod secret;
mod size;
mod socket;
mod spanned;
mod template;

pub(crate) use domain::check_domain;
pub use folder::{FolderName, INBOX};
pub use name_server::NameServer;
pub use parsed::Parsed;
pub use period::Period;
pub use problem::{Problem, Severity};
pub use secret::Secret;
pub use size::Size;
pub use socket::socket_address;
pub use spanned::{Place, SPANNED_NAME, Spanned};
pub use template::{TEMPLATE_NAME, Template, UnknownVariable, Variables};
