//! The files in `scenarios/`: each loads, without network and secrets, and says to an editor what it is.

use std::path::{Path, PathBuf};

use postrider::config::{self, Format};
use postrider_probes::Probe;

/// All YAML files below `scenarios/`.
pub(crate) fn yaml_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = ["scenarios", "scenarios/examples"]
        .iter()
        .flat_map(|directory| std::fs::read_dir(directory).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    files
}

#[test]
fn shipped_files_are_right() {
    let mut loaded_files = Vec::new();
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
        loaded_files.extend(loaded.sources.iter().map(|file| file.path.clone()));
    }
    loaded_files.sort();
    assert_eq!(
        loaded_files,
        yaml_files(),
        "each shipped file is loaded by a main file"
    );
}

#[test]
fn shipped_files_name_their_schema() {
    for file in yaml_files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let schema = text
            .strip_prefix("# yaml-language-server: $schema=")
            .and_then(|rest| rest.lines().next())
            .unwrap_or_else(|| panic!("{} has no modeline", file.display()));
        let target = file.parent().unwrap().join(schema);
        assert!(target.is_file(), "{}: {schema}", file.display());
    }
}

#[test]
fn each_kind_has_an_example_of_its_name() {
    for (verb, _) in Probe::CATALOGUE {
        let file = PathBuf::from(format!("scenarios/examples/{verb}.yaml"));
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let value = config::as_json(&text).unwrap_or_default();
        let steps = value["steps"].as_array().cloned().unwrap_or_default();
        assert!(
            steps.iter().any(|step| step.get(verb).is_some()),
            "{} shows no `{verb}`",
            file.display()
        );
    }
}
