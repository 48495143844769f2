//! Files of settings: old ones, keys that are in another section now, and what runs write.

use std::fs;
use std::path::{Path, PathBuf};

use pudle_data::DeadLeavesSettings;
use pudle_train::{DataConfig, LearningRateSchedule, Preset, RunConfig};

fn parse(text: &str) -> Result<RunConfig, String> {
    RunConfig::parse(text, Path::new("config.toml")).map_err(|error| error.to_string())
}

/// The files that runs of the presets wrote before keys moved.
const OLD: [(Preset, &str); 4] = [
    (Preset::Denoise, include_str!("old/denoise.toml")),
    (Preset::DenoiseBlind, include_str!("old/denoise-blind.toml")),
    (Preset::Dense, include_str!("old/dense.toml")),
    (Preset::Digits, include_str!("old/digits.toml")),
];

#[test]
fn old_files_are_read_as_what_they_were() {
    for (preset, text) in OLD {
        let mut expected = preset.config();
        expected.training.steps = 200;
        assert_eq!(parse(text).unwrap(), expected, "{preset}");
    }
}

/// Apart from the number of decoded pictures, which was written for all data, and the update rule, the section of the data and that of
/// training are written as they were.
#[test]
fn new_files_have_the_keys_of_the_old_ones() {
    for (preset, text) in OLD {
        let written = toml::to_string(&parse(text).unwrap()).unwrap();
        let written: toml::Table = toml::from_str(&written).unwrap();
        let mut old: toml::Table = toml::from_str(text).unwrap();
        let training = old["training"].as_table_mut().unwrap();
        training.remove("cached_images").unwrap();
        // Every run before there was a choice used Adam.
        training.insert("update".into(), "adam".into());
        for section in ["seed", "backend", "versions", "data", "training"] {
            assert_eq!(written[section], old[section], "{section} of {preset}");
        }
    }
}

#[test]
fn every_stored_file_is_read() {
    fn find(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                find(&path, found);
            } else if path.file_name().is_some_and(|name| name == "config.toml") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    find(&root.join("checkpoints"), &mut found);
    find(&root.join("docs/experiments"), &mut found);
    assert!(found.len() >= 4, "{found:?}");
    for path in found {
        let config = RunConfig::read(&path).unwrap();
        config.validate_from(&path).unwrap();
        assert!(matches!(config.data, DataConfig::Photographs(_)), "{}", path.display());
    }
}

#[test]
fn keys_of_the_data_move_out_of_the_section_of_training() {
    let [(_, denoise), _, (_, dense), (_, digits)] = OLD;
    let with = |text: &str, section: &str, line: &str| {
        text.replace(&format!("[{section}]\n"), &format!("[{section}]\n{line}\n"))
    };
    let few = denoise.replace("cached_images = 512", "cached_images = 7");
    let DataConfig::DeadLeaves(leaves) = parse(&few).unwrap().data else { panic!("{few}") };
    assert_eq!(leaves, DeadLeavesSettings { cached_images: Some(7), ..leaves.clone() });
    let config = parse(&with(digits, "training", "without = [3, 5]")).unwrap();
    assert_eq!(config.data.without(), [3, 5]);
    let text = toml::to_string(&config).unwrap();
    assert_eq!(parse(&text).unwrap(), config);
    assert!(text.find("without").unwrap() < text.find("[training]").unwrap(), "{text}");

    let twice = with(&with(digits, "training", "without = [3]"), "data", "without = [5]");
    let images_twice = with(denoise, "data", "cached_images = 512");
    for (text, words) in [
        (twice, ["data.without", "`training`"]),
        (images_twice, ["data.cached_images", "`training`"]),
        (with(dense, "training", "without = [3]"), ["data.kind", "sparse-coding"]),
        (with(dense, "data", "without = [3]"), ["without", "unknown"]),
        (with(dense, "data", "cached_images = 3"), ["cached_images", "unknown"]),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        assert!(error.starts_with("config.toml: "), "{error}");
    }
}

#[test]
fn errors_name_the_line() {
    let [(_, denoise), ..] = OLD;
    for (wrong, right) in [
        ("steps = many", "steps = 200"),
        ("steps = \"many\"", "steps = 200"),
        ("layers = -1", "layers = 15"),
    ] {
        let text = denoise.replace(right, wrong);
        let line = text.lines().position(|line| line == wrong).unwrap() + 1;
        let error = parse(&text).unwrap_err();
        assert!(error.contains(&format!("line {line}:")), "{error}");
    }
    let error = parse(&denoise.replace("warm_up = 0", "warmup = 0")).unwrap_err();
    assert!(error.contains("line ") && error.contains("warmup"), "{error}");
}

#[test]
fn words_are_those_of_the_file_and_the_known_ones_are_listed() {
    for (word, schedule) in
        [("constant", LearningRateSchedule::Constant), ("cosine", LearningRateSchedule::Cosine)]
    {
        assert_eq!(word.parse(), Ok(schedule));
        assert_eq!(schedule.to_string(), word);
    }
    let error = "cosin".parse::<LearningRateSchedule>().unwrap_err();
    assert_eq!(error, "unknown schedule \"cosin\": it must be constant or cosine");
    for preset in Preset::ALL {
        assert_eq!(preset.to_string().parse(), Ok(*preset));
    }
    let error = "denoise-colour".parse::<Preset>().unwrap_err();
    let known = "denoise, denoise-blind, denoise-color, dense, digits, vectors, signals";
    assert_eq!(error, format!("unknown preset \"denoise-colour\": it must be one of {known}"));
}
