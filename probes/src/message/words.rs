//! Ordinary words in another order each time: identical bodies trip digest filters, random text trips the others.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Longest body line, in characters (RFC 5322 §2.1.1 recommends 78).
const WIDTH: usize = 72;
const FEWEST_LINES: usize = 5;
const MOST_LINES: usize = 12;

const WORDS: &[&str] = &[
    "about",
    "across",
    "after",
    "again",
    "almost",
    "along",
    "already",
    "always",
    "among",
    "answer",
    "around",
    "autumn",
    "basket",
    "before",
    "behind",
    "below",
    "beside",
    "between",
    "bicycle",
    "blue",
    "bridge",
    "bring",
    "brother",
    "building",
    "butter",
    "calm",
    "candle",
    "carry",
    "castle",
    "certain",
    "change",
    "chapter",
    "children",
    "circle",
    "clear",
    "closed",
    "cloud",
    "coffee",
    "common",
    "corner",
    "country",
    "cover",
    "cross",
    "dark",
    "daughter",
    "decide",
    "deep",
    "dinner",
    "door",
    "early",
    "east",
    "engine",
    "enough",
    "evening",
    "every",
    "family",
    "farmer",
    "field",
    "finger",
    "finish",
    "flower",
    "follow",
    "forest",
    "forward",
    "fresh",
    "friend",
    "garden",
    "gather",
    "gentle",
    "glass",
    "grain",
    "green",
    "ground",
    "harbour",
    "heavy",
    "hidden",
    "high",
    "history",
    "honey",
    "house",
    "hundred",
    "island",
    "journey",
    "kitchen",
    "know",
    "ladder",
    "lake",
    "large",
    "later",
    "laugh",
    "learn",
    "leave",
    "letter",
    "level",
    "light",
    "listen",
    "little",
    "long",
    "lunch",
    "machine",
    "market",
    "master",
    "meadow",
    "measure",
    "middle",
    "mind",
    "mirror",
    "moment",
    "month",
    "morning",
    "mother",
    "mountain",
    "music",
    "narrow",
    "near",
    "never",
    "north",
    "notice",
    "number",
    "ocean",
    "often",
    "older",
    "open",
    "orange",
    "order",
    "other",
    "outside",
    "paper",
    "park",
    "path",
    "patient",
    "pencil",
    "people",
    "picture",
    "place",
    "plain",
    "plant",
    "plenty",
    "pocket",
    "point",
    "present",
    "pretty",
    "quarter",
    "quick",
    "quiet",
    "rain",
    "reach",
    "ready",
    "reason",
    "remember",
    "return",
    "river",
    "road",
    "round",
    "sailor",
    "school",
    "season",
    "second",
    "seldom",
    "several",
    "shadow",
    "short",
    "silver",
    "simple",
    "slowly",
    "small",
    "smooth",
    "snow",
    "soft",
    "south",
    "speak",
    "spring",
    "square",
    "stable",
    "station",
    "stone",
    "story",
    "street",
    "strong",
    "summer",
    "sunny",
    "supper",
    "table",
    "teacher",
    "thank",
    "through",
    "timber",
    "today",
    "together",
    "tomorrow",
    "tower",
    "train",
    "travel",
    "tree",
    "uncle",
    "under",
    "valley",
    "village",
    "visit",
    "voice",
    "walk",
    "warm",
    "water",
    "weather",
    "week",
    "west",
    "wheel",
    "while",
    "white",
    "window",
    "winter",
    "without",
    "wonder",
    "wooden",
    "work",
    "yellow",
    "yesterday",
    "young",
];

/// `start` followed by lines of words, the same for the same seed; exactly `size` bytes long when a size is given and
/// `start` fits into it.
pub(super) fn lines(start: String, seed: &[u8], size: Option<usize>) -> String {
    let mut rng = StdRng::from_seed(spread(seed));
    let mut text = start;
    match size {
        None => {
            for _ in 0..rng.random_range(FEWEST_LINES..=MOST_LINES) {
                text.push_str(&line(&mut rng));
            }
        }
        Some(size) => {
            while text.len() < size {
                let next = line(&mut rng);
                let room = size - text.len();
                if next.len() <= room && room - next.len() != 1 {
                    text.push_str(&next);
                } else if room >= 2 {
                    text.extend(
                        next.trim_end()
                            .chars()
                            .chain(std::iter::repeat('.'))
                            .take(room - 2),
                    );
                    text.push_str("\r\n");
                } else {
                    break;
                }
            }
        }
    }
    text
}

fn line(rng: &mut StdRng) -> String {
    let mut line = String::with_capacity(WIDTH + 2);
    loop {
        let word = WORDS[rng.random_range(0..WORDS.len())];
        if line.len() + 1 + word.len() + 1 > WIDTH {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line.push_str(".\r\n");
    line
}

fn spread(seed: &[u8]) -> [u8; 32] {
    let mut bytes = [0_u8; 32];
    for (place, byte) in bytes.iter_mut().zip(seed.iter().cycle()) {
        *place = *byte;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_words_and_another_one_others() {
        let text = |seed: &[u8]| lines(String::new(), seed, None);
        assert_eq!(text(b"one"), text(b"one"));
        assert_ne!(text(b"one"), text(b"two"));
    }

    #[test]
    fn a_sized_body_has_exactly_that_size_and_short_ascii_lines() {
        for size in [100, 101, 102, 103, 171, 172, 173, 174, 175, 8192, 100_000] {
            let text = lines("Hello.\r\n".to_owned(), b"seed", Some(size));
            assert_eq!(text.len(), size);
            assert!(text.ends_with("\r\n"));
            assert!(
                text.split("\r\n").all(|line| line.len() <= 78
                    && line.is_ascii()
                    && !line.contains(['\r', '\n']))
            );
        }
    }
}
