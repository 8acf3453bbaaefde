//! `cargo xtask protocol`: docs/protocol.md against the messages in crates/wire.
//!
//! The enums are the document: number, variant and meaning (the first sentence of its doc comment)
//! stand in the source, and the tables are written from it. The check is there so that nobody
//! changes the protocol without a change of a document that reviewers read.

use std::fs;

use clap::Args;
use syn::{Attribute, Expr, Item, Lit, Meta, Variant, Visibility};

use crate::markdown;
use crate::tree::{self, Tree};
use crate::verdict::Verdict;

/// Where the messages are defined.
const WIRE: &str = "crates/wire/src/";
/// Where the tables stand.
const DOCUMENT: &str = "docs/protocol.md";
/// The tables stand between these two lines; all else in the document is written by hand.
const BEGIN: &str = "<!-- Written by `cargo xtask protocol --write` from crates/wire. -->";
const END: &str = "<!-- End of the written tables. -->";

/// What to do with the document.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Write the tables anew instead of comparing them.
    #[arg(long)]
    write: bool,
}

/// Compares or writes; whether all is well now.
pub(crate) fn run(arguments: Arguments) -> bool {
    let tree = match Tree::read() {
        Ok(tree) => tree,
        Err(error) => return Verdict::Red(vec![error.to_string()]).tell("checkout"),
    };
    let verdict = if arguments.write {
        write(&tree)
    } else {
        check(&tree)
    };
    verdict.tell("protocol")
}

/// One variant of a message, as the source or the document has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    number: u64,
    variant: String,
    meaning: String,
}

/// The messages of one module.
struct Module {
    /// As in `wire::peer`.
    name: String,
    entries: Vec<Entry>,
}

/// Checks that the tables and the enums say the same.
pub(crate) fn check(tree: &Tree) -> Verdict {
    let source = match modules(tree) {
        Ok(modules) => modules
            .into_iter()
            .flat_map(|module| module.entries)
            .collect::<Vec<_>>(),
        Err(faults) => return Verdict::Red(faults),
    };
    let Some(document) = tree.text(DOCUMENT) else {
        return Verdict::Red(vec![format!("{DOCUMENT} is missing")]);
    };
    let (written, mut faults) = entries_of(document);
    let describe = |entry: &Entry| {
        let Entry {
            name,
            number,
            variant,
            meaning,
        } = entry;
        format!("{name} {number} {variant}: {meaning}")
    };
    for entry in source.iter().filter(|entry| !written.contains(entry)) {
        faults.push(format!(
            "the source has, {DOCUMENT} has not: {}",
            describe(entry)
        ));
    }
    for entry in written.iter().filter(|entry| !source.contains(entry)) {
        faults.push(format!(
            "{DOCUMENT} has, the source has not: {}",
            describe(entry)
        ));
    }
    if !faults.is_empty() {
        faults.push("write the tables anew: cargo xtask protocol --write".to_owned());
    }
    Verdict::of(faults, format!("{} variants", source.len()))
}

/// Writes the tables into the document.
fn write(tree: &Tree) -> Verdict {
    let modules = match modules(tree) {
        Ok(modules) => modules,
        Err(faults) => return Verdict::Red(faults),
    };
    let Some(renewed) = tree
        .text(DOCUMENT)
        .and_then(|document| renewed(document, &modules))
    else {
        let fault = format!("{DOCUMENT} needs the lines\n{BEGIN}\n{END}");
        return Verdict::Red(vec![fault]);
    };
    match fs::write(tree::root().join(DOCUMENT), renewed) {
        Ok(()) => Verdict::Green("written".to_owned()),
        Err(error) => Verdict::Red(vec![format!("{DOCUMENT}: {error}")]),
    }
}

/// The document with new tables; `None` if it does not say where they go.
fn renewed(document: &str, modules: &[Module]) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let mut tables = String::new();
    for module in modules {
        tables.push_str(&format!("\n### `{}`\n\n", module.name));
        tables.push_str("| Enum | n | Variant | Meaning |\n| --- | --- | --- | --- |\n");
        for Entry {
            name,
            number,
            variant,
            meaning,
        } in &module.entries
        {
            let meaning = meaning.replace('|', "\\|");
            tables.push_str(&format!("| {name} | {number} | {variant} | {meaning} |\n"));
        }
    }
    Some(format!("{before}{BEGIN}\n{tables}\n{END}{after}"))
}

/// The rows of the document's tables, and the faults of rows that cannot be read.
fn entries_of(document: &str) -> (Vec<Entry>, Vec<String>) {
    let mut entries = Vec::new();
    let mut faults = Vec::new();
    for row in markdown::rows(document) {
        let cell = |column| row.cell(column).map(str::to_owned);
        let (Some(name), Some(number), Some(variant), Some(meaning)) =
            (cell("Enum"), cell("n"), cell("Variant"), cell("Meaning"))
        else {
            continue;
        };
        match number.parse() {
            Ok(number) => entries.push(Entry {
                name,
                number,
                variant,
                meaning,
            }),
            Err(_) => faults.push(format!("{DOCUMENT}:{}: {number} is no number", row.line)),
        }
    }
    (entries, faults)
}

/// The messages of all modules of the wire, in the order of their files.
fn modules(tree: &Tree) -> Result<Vec<Module>, Vec<String>> {
    let mut modules = Vec::new();
    let mut faults = Vec::new();
    for (path, text) in tree.ending(".rs") {
        let Some(file) = path.strip_prefix(WIRE) else {
            continue;
        };
        let mut entries = Vec::new();
        match syn::parse_file(text) {
            Ok(parsed) => collect(path, &parsed.items, &mut entries, &mut faults),
            Err(error) => faults.push(format!("{path}: {error}")),
        }
        if !entries.is_empty() {
            let name = file
                .trim_end_matches(".rs")
                .trim_end_matches("/mod")
                .replace('/', "::");
            let name = if name == "lib" {
                "wire".to_owned()
            } else {
                format!("wire::{name}")
            };
            modules.push(Module { name, entries });
        }
    }
    if faults.is_empty() {
        Ok(modules)
    } else {
        Err(faults)
    }
}

/// Collects the public enums among these items, also in modules within the file.
fn collect(path: &str, items: &[Item], entries: &mut Vec<Entry>, faults: &mut Vec<String>) {
    for item in items {
        if let Item::Mod(module) = item
            && let Some((_, inner)) = &module.content
        {
            collect(path, inner, entries, faults);
        }
        let Item::Enum(item) = item else { continue };
        let numbers: Vec<Option<u64>> = item.variants.iter().map(number).collect();
        if !matches!(item.vis, Visibility::Public(_)) || numbers.iter().all(Option::is_none) {
            continue;
        }
        for (variant, number) in item.variants.iter().zip(numbers) {
            match entry(&item.ident.to_string(), variant, number) {
                Ok(entry) => entries.push(entry),
                Err(fault) => faults.push(format!("{path}: {fault}")),
            }
        }
    }
}

fn entry(name: &str, variant: &Variant, number: Option<u64>) -> Result<Entry, String> {
    let ident = variant.ident.to_string();
    let Some(number) = number else {
        return Err(format!(
            "{name}::{ident} has no number while its neighbours have"
        ));
    };
    match first_sentence(&documentation(&variant.attrs)) {
        Some(meaning) => Ok(Entry {
            name: name.to_owned(),
            number,
            variant: ident,
            meaning,
        }),
        None => Err(format!(
            "{name}::{ident} does not say what it means: document it"
        )),
    }
}

/// The number in `#[n(1)]`, `#[b(1)]`, `#[cbor(n(1))]` or `#[cbor(b(1))]`, or behind `=`: the kind
/// byte of frames is a plain number.
fn number(variant: &Variant) -> Option<u64> {
    if let Some((_, Expr::Lit(literal))) = &variant.discriminant
        && let Lit::Int(number) = &literal.lit
    {
        return number.base10_parse().ok();
    }
    variant.attrs.iter().find_map(|attribute| {
        let Meta::List(list) = &attribute.meta else {
            return None;
        };
        let inner = if list.path.is_ident("cbor") {
            list.parse_args::<syn::MetaList>().ok()?
        } else {
            list.clone()
        };
        if !inner.path.is_ident("n") && !inner.path.is_ident("b") {
            return None;
        }
        let number: syn::LitInt = inner.parse_args().ok()?;
        number.base10_parse().ok()
    })
}

/// The lines of the doc comment.
fn documentation(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes {
        if let Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("doc")
            && let Expr::Lit(literal) = &pair.value
            && let Lit::Str(line) = &literal.lit
        {
            lines.push(line.value().trim().to_owned());
        }
    }
    lines.join("\n")
}

/// The first sentence of the first paragraph, on one line and without links.
fn first_sentence(documentation: &str) -> Option<String> {
    let paragraph = documentation
        .trim()
        .split("\n\n")
        .next()?
        .replace('\n', " ");
    let end = paragraph.find(". ").map_or(paragraph.len(), |at| at + 1);
    let sentence = paragraph[..end].replace("[`", "`").replace("`]", "`");
    (!sentence.is_empty()).then_some(sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "
        /// What members say to each other.
        pub enum Peer {
            /// Sent first, by the one
            /// that connects ([`Names`]). More text.
            #[n(0)] Hello(#[n(0)] u8),
            /// A | B.
            #[cbor(n(2))] Step,
        }
        /// Not a message.
        pub enum Local { A }
        enum Private { #[n(0)] A }
        /// What a frame carries.
        pub enum Kind {
            /// Peers.
            Peer = 3,
        }
    ";

    fn table(rows: &str) -> String {
        format!(
            "# P\n{BEGIN}\n| Enum | n | Variant | Meaning |\n|---|---|---|---|\n{rows}\n{END}\n"
        )
    }

    fn check_texts(source: &str, document: &str) -> Verdict {
        check(&Tree::of(&[
            ("crates/wire/src/peer.rs", source),
            (DOCUMENT, document),
        ]))
    }

    #[test]
    fn tables_written_from_the_source_are_green() {
        let tree = Tree::of(&[("crates/wire/src/peer.rs", SOURCE)]);
        let modules = modules(&tree).expect("the source is well-formed");
        let document = renewed(&format!("# P\n{BEGIN}{END}\nby hand\n"), &modules)
            .expect("the document has both lines");
        assert!(document.contains("### `wire::peer`"));
        assert!(
            document
                .contains("| Peer | 0 | Hello | Sent first, by the one that connects (`Names`). |")
        );
        assert!(document.ends_with("by hand\n"));
        assert_eq!(
            check_texts(SOURCE, &document),
            Verdict::Green("3 variants".to_owned())
        );
        assert_eq!(renewed(&document, &modules), Some(document));
    }

    #[test]
    fn a_variant_without_a_row_is_red() {
        let rows = "| Peer | 0 | Hello | Sent first, by the one that connects (`Names`). |\n\
            | Kind | 3 | Peer | Peers. |";
        let Verdict::Red(faults) = check_texts(SOURCE, &table(rows)) else {
            panic!("the row of Step is missing");
        };
        assert_eq!(
            faults[0],
            "the source has, docs/protocol.md has not: Peer 2 Step: A | B."
        );
        assert_eq!(faults.len(), 2);
    }

    #[test]
    fn a_row_without_a_variant_is_red() {
        let rows = "| Peer | 0 | Hello | Hi. |\n| Peer | 1 | Gone | Away. |";
        let source = "pub enum Peer { /// Hi.\n #[n(0)] Hello }";
        let Verdict::Red(faults) = check_texts(source, &table(rows)) else {
            panic!("the variant of Gone is missing");
        };
        assert_eq!(
            faults[0],
            "docs/protocol.md has, the source has not: Peer 1 Gone: Away."
        );
    }

    #[test]
    fn another_number_is_red() {
        let source = "pub enum Peer { /// Hi.\n #[n(7)] Hello }";
        assert!(matches!(
            check_texts(source, &table("| Peer | 0 | Hello | Hi. |")),
            Verdict::Red(faults) if faults.len() == 3
        ));
        assert!(matches!(
            check_texts(source, &table("| Peer | seven | Hello | Hi. |")),
            Verdict::Red(faults) if faults.len() == 3
        ));
    }

    #[test]
    fn a_variant_without_a_number_or_a_meaning_is_red() {
        let source = "pub enum Peer { /// Hi.\n #[n(0)] Hello, /// No.\n Bare, #[n(1)] Mute }";
        assert!(matches!(
            check_texts(source, &table("")),
            Verdict::Red(faults) if faults.len() == 2
        ));
    }
}
