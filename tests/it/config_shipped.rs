//! The files in `scenarios/`: each loads, without network and secrets, and says so to an editor.

use std::path::Path;

use postrider::config::{self, Format};

#[test]
fn shipped_files_are_right() {
    for main in [
        "scenarios/postrider.yaml",
        "scenarios/examples/postrider.yaml",
    ] {
        let loaded = config::load(Path::new(main));
        assert!(
            loaded.problems.is_empty() && loaded.plan.is_some(),
            "{main}\n{}",
            loaded.render(Format::Full, false)
        );
    }
}
