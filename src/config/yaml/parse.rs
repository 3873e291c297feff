//! Text to tree, within limits.

use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, Span, StrInput};
use postrider_probes::setting::{Place, Problem};

use super::tree::{Entry, Key, Node, Scalar, Value};

/// Nodes of a file, once aliases are written out.
const NODE_LIMIT: u32 = 100_000;
/// Maps and lists inside each other.
const DEPTH_LIMIT: usize = 32;

/// Parses one file. The tree is missing only when the text cannot be understood at all; keys that stand twice are
/// reported and left out.
pub(in crate::config) fn parse(file: u32, text: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    let mut builder = Builder {
        file,
        text,
        next_id: 0,
        anchors: HashMap::new(),
        anchored: 0,
        open_anchors: Vec::new(),
        events: Parser::new_from_str_with_options(
            text,
            // Deeper than our own limit, so that ours, with its own words, comes first.
            granit_parser::options! { emit_unresolved_aliases: true, disallow_directives: true },
        ),
        problems,
    };
    match builder.document() {
        Ok(node) => Some(node),
        Err(problem) => {
            problems.push(*problem);
            None
        }
    }
}

struct Builder<'t, 'p> {
    file: u32,
    text: &'t str,
    next_id: u32,
    anchors: HashMap<usize, Node>,
    /// Nodes kept for aliases.
    anchored: u32,
    open_anchors: Vec<usize>,
    events: Parser<'t, StrInput<'t>>,
    problems: &'p mut Vec<Problem>,
}

type Parsed<T> = Result<T, Box<Problem>>;

impl<'t> Builder<'t, '_> {
    fn document(&mut self) -> Parsed<Node> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(self.syntax(span, "a file holds one document, here starts another"));
                }
                Event::DocumentStart(..) => {
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span, 0)?);
                }
                _ => return Err(self.syntax(span, "this does not belong to the document")),
            }
        }
        match root {
            Some(root) => Ok(root),
            None => Err(Box::new(Problem::error(
                "yaml-syntax",
                Place {
                    file: self.file,
                    line: 1,
                    column: 1,
                    width: 1,
                },
                "the file is empty",
            ))),
        }
    }

    fn next(&mut self) -> Parsed<(Event<'t>, Span)> {
        loop {
            return match self.events.next() {
                Some(Ok((Event::Anchor(..), _))) => continue,
                Some(Ok(event)) => Ok(event),
                Some(Err(error)) => Err(Box::new(self.scan_error(&error))),
                None => Ok((Event::StreamEnd, Span::default())),
            };
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Parsed<Node> {
        if depth > DEPTH_LIMIT {
            return Err(self.too_deep(self.place(span)));
        }
        let id = self.id(span, 1)?;
        let mut place = self.place(span);
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span)?;
                let scalar = Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                };
                (Value::Scalar(scalar), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span)?;
                self.open_anchors.push(anchor);
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
                self.open_anchors.pop();
                (Value::List(items), anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span)?;
                self.open_anchors.push(anchor);
                let entries = self.entries(depth)?;
                self.open_anchors.pop();
                // A block map is where its first key is.
                let first = entries.first().map(|entry| entry.key.place);
                if let Some(first) =
                    first.filter(|first| (first.line, first.column) == (place.line, place.column))
                {
                    place = first;
                }
                (Value::Map(entries), anchor)
            }
            Event::Alias(anchor) => return self.alias(anchor, id, span, depth),
            Event::UnresolvedAlias(name) => {
                return Err(self.syntax(span, format!("nothing above is marked `&{name}`")));
            }
            _ => return Err(self.syntax(span, "a value is missing here")),
        };
        let node = Node { id, place, value };
        if anchor != 0 {
            self.anchored = self.anchored.saturating_add(measure(&node).0);
            if self.anchored > NODE_LIMIT {
                return Err(self.too_many(span));
            }
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn entries(&mut self, depth: usize) -> Parsed<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, Place> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(entries);
            }
            let key = self.node(event, span, depth + 1)?;
            let Value::Scalar(scalar) = key.value else {
                return Err(self.syntax(span, "a key is a word, not a list or a map"));
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if scalar.plain && scalar.text == "<<" {
                self.problems.push(
                    Problem::error(
                        "yaml-ambiguous",
                        key.place,
                        "`<<` merges maps for some readers and is an ordinary key for others",
                    )
                    .help("write the keys out, or use an alias for a whole value"),
                );
                continue;
            }
            if let Some(first) = seen.get(&scalar.text) {
                let mut problem = Problem::error(
                    "duplicate-key",
                    key.place,
                    format!("`{}` stands here a second time", scalar.text),
                )
                .help("remove one of the two");
                problem.related = Some((*first, "the first one".to_owned()));
                self.problems.push(problem);
                continue;
            }
            seen.insert(scalar.text.clone(), key.place);
            entries.push(Entry {
                key: Key {
                    id: key.id,
                    place: key.place,
                    scalar,
                },
                value,
            });
        }
    }

    /// A copy of what the anchor marks, with ids of its own.
    fn alias(&mut self, anchor: usize, id: u32, span: Span, depth: usize) -> Parsed<Node> {
        if self.open_anchors.contains(&anchor) {
            return Err(self.syntax(span, "the alias stands inside of what it stands for"));
        }
        let Some(marked) = self.anchors.get(&anchor) else {
            return Err(self.syntax(span, "nothing above has this mark"));
        };
        let (nodes, levels) = measure(marked);
        if depth + levels > DEPTH_LIMIT {
            return Err(self.too_deep(self.place(span)));
        }
        let mut copy = marked.clone();
        self.id(span, nodes)?;
        let mut next = id;
        renumber(&mut copy, &mut next);
        Ok(copy)
    }

    /// Takes the next `count` ids; returns the first.
    fn id(&mut self, span: Span, count: u32) -> Parsed<u32> {
        let first = self.next_id;
        self.next_id = first.saturating_add(count);
        if self.next_id > NODE_LIMIT {
            return Err(self.too_many(span));
        }
        Ok(first)
    }

    fn refuse_tag(&self, tagged: bool, span: Span) -> Parsed<()> {
        if tagged {
            return Err(self.syntax(span.tag_span().unwrap_or(span), "tags have no meaning here"));
        }
        Ok(())
    }

    fn syntax(&self, span: Span, title: impl Into<String>) -> Box<Problem> {
        Box::new(Problem::error("yaml-syntax", self.place(span), title))
    }

    fn too_many(&self, span: Span) -> Box<Problem> {
        Box::new(
            Problem::error(
                "too-many-nodes",
                self.place(span),
                format!("the file has more than {NODE_LIMIT} values, aliases included"),
            )
            .help("split it into several files, or use fewer aliases"),
        )
    }

    fn too_deep(&self, at: Place) -> Box<Problem> {
        Box::new(Problem::error(
            "too-deep",
            at,
            format!("more than {DEPTH_LIMIT} lists and maps inside each other"),
        ))
    }

    fn scan_error(&self, error: &granit_parser::ScanError) -> Problem {
        let at = self.mark(*error.marker(), 1);
        let tab = matches!(
            error.kind(),
            ErrorKind::TabNotAllowed
                | ErrorKind::TabInBlockIndentation
                | ErrorKind::TabInIndentation
                | ErrorKind::TabAtBlockScalarStart
                | ErrorKind::TabInPlainScalar
        ) || self.line_starts_with_tab(at.line);
        match error.kind() {
            ErrorKind::RecursionLimitExceeded => *self.too_deep(at),
            ErrorKind::DirectiveDisallowed => {
                Problem::error("yaml-syntax", at, "directives have no meaning here")
            }
            _ if tab => {
                let line = self.text.lines().nth(at.line as usize - 1).unwrap_or("");
                let before = line.chars().take_while(|c| *c != '\t').count();
                let column = u32::try_from(before + 1).unwrap_or(u32::MAX);
                Problem::error(
                    "yaml-syntax",
                    Place { column, ..at },
                    "YAML does not allow a tab here",
                )
                .help("indent with spaces")
            }
            _ => Problem::error(
                "yaml-syntax",
                at,
                format!("this is not YAML: {}", lower_first(&error.info())),
            ),
        }
    }

    fn line_starts_with_tab(&self, line: u32) -> bool {
        self.text
            .lines()
            .nth((line as usize).saturating_sub(1))
            .is_some_and(|line| line.trim_start_matches(' ').starts_with('\t'))
    }

    /// The span's part on its first line.
    fn place(&self, span: Span) -> Place {
        let written = span
            .slice(self.text)
            .and_then(|slice| slice.lines().next())
            .map_or(1, |line| line.trim_end().chars().count());
        self.mark(span.start, written)
    }

    fn mark(&self, mark: Marker, width: usize) -> Place {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place {
            file: self.file,
            line: number(mark.line().max(1)),
            column: number(mark.col() + 1),
            width: number(width.max(1)),
        }
    }
}

fn renumber(node: &mut Node, next: &mut u32) {
    node.id = *next;
    *next += 1;
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::List(items) => items.iter_mut().for_each(|item| renumber(item, next)),
        Value::Map(entries) => {
            for entry in entries {
                entry.key.id = *next;
                *next += 1;
                renumber(&mut entry.value, next);
            }
        }
    }
}

/// How many nodes there are, and how many lie inside each other.
fn measure(node: &Node) -> (u32, usize) {
    match &node.value {
        Value::Scalar(_) => (1, 0),
        Value::List(items) => items.iter().map(measure).fold((1, 0), |sum, part| {
            (sum.0.saturating_add(part.0), sum.1.max(part.1 + 1))
        }),
        Value::Map(entries) => entries
            .iter()
            .map(|entry| measure(&entry.value))
            .fold((1, 0), |sum, part| {
                (sum.0.saturating_add(part.0 + 1), sum.1.max(part.1 + 1))
            }),
    }
}

/// As the middle of a sentence; abbreviations stay.
fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        let mut problems = Vec::new();
        let tree = parse(7, text, &mut problems);
        assert_eq!(problems, []);
        tree.unwrap()
    }

    fn place(node: &Node) -> (u32, u32, u32) {
        (node.place.line, node.place.column, node.place.width)
    }

    #[test]
    fn places_count_characters_from_one() {
        let tree = tree("é: [ñandú, \"x y\"]\nb:\n  c: plain text   # remark\n  d: |\n    block\n");
        assert_eq!(tree.place.file, 7);
        let list = tree.get("é").unwrap().items();
        assert_eq!(place(&list[0]), (1, 5, 5));
        assert_eq!(place(&list[1]), (1, 12, 5));
        let map = tree.get("b").unwrap();
        assert_eq!(place(map), (3, 3, 1));
        assert_eq!(place(map.get("c").unwrap()), (3, 6, 10));
        assert_eq!(place(map.get("d").unwrap()), (5, 5, 5));
    }

    #[test]
    fn files_from_other_systems_are_read_alike() {
        let tree = tree("\u{feff}a: b\r\nc: d\r\n");
        assert_eq!(place(tree.get("c").unwrap()), (2, 4, 1));
        let Value::Scalar(scalar) = &tree.get("a").unwrap().value else {
            panic!("{tree:?}");
        };
        assert_eq!(scalar.text, "b");
    }

    #[test]
    fn an_alias_is_a_copy_with_ids_of_its_own() {
        let tree = tree("a: &x { k: [1, 2] }\nb: *x\nc: *x\n");
        let mut ids = Vec::new();
        collect(&tree, &mut ids);
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(ids, unique, "ids rise in the order of the text");
        let (a, b) = (tree.get("a").unwrap(), tree.get("b").unwrap());
        assert_eq!(a.get("k").unwrap().place, b.get("k").unwrap().place);
        assert!(b.last_id() < tree.get("c").unwrap().id);
    }

    fn collect(node: &Node, ids: &mut Vec<u32>) {
        ids.push(node.id);
        node.items().iter().for_each(|item| collect(item, ids));
        for entry in node.entries() {
            ids.push(entry.key.id);
            collect(&entry.value, ids);
        }
    }

    #[test]
    fn what_is_no_tree_is_one_problem() {
        for (text, title) in [
            (
                "a: &x [*x]\n",
                "the alias stands inside of what it stands for",
            ),
            ("[a, b]: c\n", "a key is a word, not a list or a map"),
            ("", "the file is empty"),
            (
                "---\n...\n---\n",
                "a file holds one document, here starts another",
            ),
            ("%TAG ! x\n---\na: b\n", "directives have no meaning here"),
        ] {
            let mut problems = Vec::new();
            assert!(parse(0, text, &mut problems).is_none(), "{text}");
            let titles: Vec<&str> = problems
                .iter()
                .map(|problem| problem.title.as_str())
                .collect();
            assert_eq!(titles, [title], "{text}");
        }
    }

    #[test]
    fn anchors_inside_each_other_are_counted() {
        // Each of these levels would be kept for an alias that never comes.
        let items = "x,".repeat(9_000);
        let text = format!(
            "{}{items}{}",
            (0..20).map(|n| format!("&a{n} [")).collect::<String>(),
            "]".repeat(20)
        );
        let mut problems = Vec::new();
        assert!(parse(0, &text, &mut problems).is_none());
        assert_eq!(problems[0].code, "too-many-nodes");
    }

    /// What older readers take for something else would be another configuration to them.
    #[test]
    fn shipped_files_mean_the_same_to_older_readers() {
        use super::super::scalar::{Meaning, ambiguity, meaning};

        fn check(node: &Node, file: &str) {
            if let Value::Scalar(scalar) = &node.value
                && meaning(scalar) == Meaning::Text
            {
                assert_eq!(ambiguity(scalar), None, "{file}: {}", scalar.text);
            }
            node.items().iter().for_each(|item| check(item, file));
            for entry in node.entries() {
                assert_eq!(
                    ambiguity(&entry.key.scalar),
                    None,
                    "{file}: {}",
                    entry.key.scalar.text
                );
                check(&entry.value, file);
            }
        }
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let mut seen = 0;
        for file in glob::glob(&format!("{root}/**/*.yaml")).unwrap() {
            let file = file.unwrap();
            let text = std::fs::read_to_string(&file).unwrap();
            check(&tree(&text), &file.display().to_string());
            seen += 1;
        }
        assert!(seen >= 7, "{seen}");
    }
}
