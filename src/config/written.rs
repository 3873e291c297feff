//! Values as they stand in a YAML text. A command that makes a scenario of its arguments writes it as text and has it
//! read like any other, so that every check holds for it and it can be shown; here is what keeps an argument a value.

use std::fmt::Write as _;

/// A string in double quotes, in which nothing has a meaning of its own.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            // What YAML calls printable, without the line breaks of older versions (YAML 1.2.2 §5.1, §5.4).
            ' '..='~'
            | '\u{a0}'..='\u{2027}'
            | '\u{202f}'..='\u{d7ff}'
            | '\u{e000}'..='\u{fefe}' => {
                quoted.push(character);
            }
            other => {
                // A String never refuses to be written to.
                let _ = write!(quoted, "\\U{:08x}", u32::from(other));
            }
        }
    }
    quoted.push('"');
    quoted
}

/// The same for a key that takes `${…}`: a dollar sign stays one.
#[must_use]
pub fn quoted_template(text: &str) -> String {
    quoted(&text.replace('$', "$$"))
}

#[cfg(test)]
mod tests {
    use postrider_probes::setting::{Template, Variables};
    use proptest::prelude::*;

    use super::*;
    use crate::config::as_json;

    /// What a reader makes of a text in a block, in a flow mapping, and as a template.
    fn read_back(text: &str) -> [Option<String>; 3] {
        let yaml = format!(
            "block: {0}\nflow: {{ in: {0}, next: 1 }}\ntemplate: {1}\nafter: 2\n",
            quoted(text),
            quoted_template(text)
        );
        let json = as_json(&yaml).unwrap_or_default();
        assert_eq!(
            (&json["flow"]["next"], &json["after"]),
            (&1.into(), &2.into()),
            "{yaml}"
        );
        let template = json["template"].as_str().map(|template| {
            let template: Template = template.parse().expect("it is a template");
            template
                .fill(&Variables::default())
                .expect("it has no variables")
        });
        [
            json["block"].as_str().map(str::to_owned),
            json["flow"]["in"].as_str().map(str::to_owned),
            template,
        ]
    }

    #[test]
    fn nothing_in_an_argument_has_a_meaning() {
        for text in [
            "",
            " ",
            "a # b",
            "a: b",
            "- a",
            "two\nlines\r\nand: more\n",
            "it's \"so\" \\n",
            "${run.id} $$ $",
            "{a: [b]}, &c *d !e %f @g `h",
            "~",
            "null",
            "0123",
            "---\n...",
            "tab\tbell\u{7}nul\u{0}delete\u{7f}",
            "next line\u{85}separators\u{2028}\u{2029}mark\u{feff}",
            "right to left \u{202e}",
            "Grüße 你好 🙂",
        ] {
            let same = Some(text.to_owned());
            assert_eq!(
                read_back(text),
                [same.clone(), same.clone(), same],
                "{text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_as_it_was(text in any::<String>()) {
            let same = Some(text.clone());
            prop_assert_eq!(read_back(&text), [same.clone(), same.clone(), same]);
        }
    }
}
