//! What is the same in each greeting of a server: many put the time, or a word of their own for each session, into it.

/// What stands for a date and a time.
const DATE: &str = "<date>";
/// What stands for the word of one session.
const ID: &str = "<id>";
/// A run of letters and digits so long, with [`ID_DIGITS`] among them, is made for one session.
const ID_LENGTH: usize = 10;
/// Digits of such a run.
const ID_DIGITS: usize = 3;
/// A number so long is a time or a counter.
const NUMBER_LENGTH: usize = 9;

/// The greeting with `<date>` for a date or a time and `<id>` for the word of one session; blanks become one space.
/// Doing it twice changes nothing.
pub fn steady(greeting: &str) -> String {
    let words: Vec<&str> = greeting.split_whitespace().collect();
    let mut kinds: Vec<Kind> = words
        .iter()
        .enumerate()
        // A server begins with its own name, which may look like anything.
        .map(|(index, word)| match index {
            0 => Kind::Text,
            _ => kind(word),
        })
        .collect();
    spread(&mut kinds);
    let mut steady: Vec<&str> = Vec::new();
    for (word, kind) in words.iter().zip(kinds) {
        match kind {
            Kind::Date if steady.last() == Some(&DATE) => {}
            Kind::Date => steady.push(DATE),
            Kind::Id => steady.push(ID),
            Kind::Text | Kind::NearDate => steady.push(word),
        }
    }
    steady.join(" ")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// Is one by itself.
    Date,
    /// A day, a year, a zone: part of a date beside one.
    NearDate,
    Id,
}

/// What stands beside a part of a date may be one itself.
fn spread(kinds: &mut [Kind]) {
    for index in 1..kinds.len() {
        if kinds[index] == Kind::NearDate && kinds[index - 1] == Kind::Date {
            kinds[index] = Kind::Date;
        }
    }
    for index in (1..kinds.len()).rev() {
        if kinds[index - 1] == Kind::NearDate && kinds[index] == Kind::Date {
            kinds[index - 1] = Kind::Date;
        }
    }
}

fn kind(word: &str) -> Kind {
    const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    const ZONES: [&str; 6] = ["gmt", "utc", "cet", "cest", "est", "edt"];
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let low = bare.to_ascii_lowercase();
    let is_number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
    if WEEKDAYS.contains(&low.as_str())
        || is_time(bare)
        || is_date(bare)
        || MONTHS.iter().any(|month| has_month(&low, month))
    {
        return Kind::Date;
    }
    if is_number && bare.len() <= 4 || ZONES.contains(&low.as_str()) {
        return Kind::NearDate;
    }
    if is_id(word) { Kind::Id } else { Kind::Text }
}

/// `nov`, `24-nov-2026`, `november` is left alone unless it is the short form.
fn has_month(low: &str, month: &str) -> bool {
    low == month
        || low.split(['-', '/']).nth(1) == Some(month)
            && low.split(['-', '/']).count() == 3
            && low.starts_with(|c: char| c.is_ascii_digit())
}

/// `3:04`, `03:04:05`, `03:04:05.678`.
fn is_time(word: &str) -> bool {
    let parts: Vec<&str> = word.split(':').collect();
    let digits = |part: &&str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    match parts.as_slice() {
        [hour, minute] => digits(hour, 1..=2) && digits(minute, 2..=2),
        [hour, minute, second] => {
            let second = second.split('.').next().unwrap_or_default();
            digits(hour, 1..=2) && digits(minute, 2..=2) && digits(&second, 2..=2)
        }
        _ => false,
    }
}

/// `2026-11-24`, `2026-11-24T03:04:05Z`, `24.11.2026`, `11/24/2026`.
fn is_date(word: &str) -> bool {
    let day = word.split(['T', 't']).next().unwrap_or_default();
    ['-', '/', '.'].into_iter().any(|separator| {
        let parts: Vec<&str> = day.split(separator).collect();
        let all_digits = parts
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        all_digits && matches!(lengths.as_slice(), [4, 1..=2, 1..=2] | [1..=2, 1..=2, 4])
    })
}

/// `<1896.697170952@mx.example.net>`, `a640c23a62f3a-b0abc.123`, `[08DC1234567890AB]`, `1764000000`.
fn is_id(word: &str) -> bool {
    if word.starts_with('<') && word.contains('@') && word.ends_with('>') {
        return true;
    }
    word.split(|c: char| !c.is_ascii_alphanumeric()).any(|run| {
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        let is_number = digits == run.len() && digits >= NUMBER_LENGTH;
        is_number || run.len() >= ID_LENGTH && digits >= ID_DIGITS
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_and_session_words_are_left_out_and_all_else_stays() {
        for (greeting, wanted) in [
            (
                "mx.example.net ESMTP Postfix (Debian/GNU)",
                "mx.example.net ESMTP Postfix (Debian/GNU)",
            ),
            (
                "mx.example.net ESMTP Exim 4.96 Tue, 24 Nov 2026 03:04:05 +0100",
                "mx.example.net ESMTP Exim 4.96 <date>",
            ),
            (
                "mx.example.net ESMTP Sendmail 8.15.2/8.15.2/Debian-18; Tue, 4 Nov 2026 03:04:05 GMT; (No UCE)",
                "mx.example.net ESMTP Sendmail 8.15.2/8.15.2/Debian-18; <date> (No UCE)",
            ),
            (
                "db5pepf00014b8c.mail.protection.example Microsoft ESMTP MAIL Service ready at Tue, 24 Nov 2026 03:04:05 +0000 [08DC1234567890AB]",
                "db5pepf00014b8c.mail.protection.example Microsoft ESMTP MAIL Service ready at <date> <id>",
            ),
            (
                "mx.example.com ESMTP a640c23a62f3a-b0abc.123 - gsmtp",
                "mx.example.com ESMTP <id> - gsmtp",
            ),
            (
                "POP3 server ready <1896.697170952@mx.example.net>",
                "POP3 server ready <id>",
            ),
            (
                "mx ESMTP 2026-11-24T03:04:05Z ready",
                "mx ESMTP <date> ready",
            ),
            (
                "mx ESMTP 24-Nov-2026 3:04 1764000000",
                "mx ESMTP <date> <id>",
            ),
            (
                "Dovecot 2.3 (4f2a9) (Ubuntu 24.04) ready.",
                "Dovecot 2.3 (4f2a9) (Ubuntu 24.04) ready.",
            ),
            (
                "mx Exim 4.96-15+deb12u3 port 25",
                "mx Exim 4.96-15+deb12u3 port 25",
            ),
            ("  mx \t ESMTP  ", "mx ESMTP"),
            ("", ""),
        ] {
            assert_eq!(steady(greeting), wanted);
        }
    }

    proptest! {
        #[test]
        fn twice_is_as_good_as_once(greeting in "([a-z0-9.:<>@/-]{0,12} ?){0,12}|.{0,60}") {
            let once = steady(&greeting);
            prop_assert_eq!(steady(&once), once);
        }
    }
}
