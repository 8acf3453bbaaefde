//! Tables and code spans of our documents, as far as the checks read them.

/// One row of a table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The line of the document, from 1.
    pub(crate) line: usize,
    /// The names of the table's columns.
    pub(crate) columns: Vec<String>,
    /// The cells, as many as there are columns or fewer.
    pub(crate) cells: Vec<String>,
}

impl Row {
    /// The cell under this column, empty if the row is too short; `None` without such a column.
    pub(crate) fn cell(&self, column: &str) -> Option<&str> {
        let at = self.columns.iter().position(|name| name == column)?;
        Some(self.cells.get(at).map_or("", String::as_str))
    }
}

/// The rows of all tables, in the order of the document.
pub(crate) fn rows(document: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut columns: Option<Vec<String>> = None;
    for (at, line) in document.lines().enumerate() {
        let Some(cells) = cells(line) else {
            columns = None;
            continue;
        };
        match &columns {
            None => columns = Some(cells),
            Some(_) if is_rule(&cells) => {}
            Some(columns) => rows.push(Row {
                line: at + 1,
                columns: columns.clone(),
                cells,
            }),
        }
    }
    rows
}

/// The cells of a table's line; a bar after a backslash belongs to its cell.
fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let mut cells = vec![String::new()];
    let mut escaped = false;
    for character in inner.chars() {
        if character == '|' && !escaped {
            cells.push(String::new());
        } else if let Some(cell) = cells.last_mut() {
            if character == '|' {
                cell.pop();
            }
            cell.push(character);
        }
        escaped = character == '\\';
    }
    Some(
        cells
            .into_iter()
            .map(|cell| cell.trim().to_owned())
            .collect(),
    )
}

fn is_rule(cells: &[String]) -> bool {
    cells
        .iter()
        .all(|cell| !cell.is_empty() && cell.chars().all(|c| c == '-' || c == ':'))
}

/// What stands between single backticks, in order.
pub(crate) fn code_spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The targets of links, `[text](target)`, with the line of each, outside of code blocks.
pub(crate) fn links(document: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    let mut in_code = false;
    for (at, line) in document.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for rest in line.split("](").skip(1) {
            if let Some((target, _)) = rest.split_once(')') {
                links.push((at + 1, target));
            }
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_knows_its_columns_and_its_line() {
        let rows =
            rows("# T\n\n| A | B |\n| --- | :-: |\n| 1 | x \\| y |\n\ntext\n| C |\n|---|\n| 3 |\n");
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].line, 5);
        assert_eq!(rows[0].cell("B"), Some("x | y"));
        assert_eq!(rows[0].cell("C"), None);
        assert_eq!(rows[1].cell("C"), Some("3"));
    }

    #[test]
    fn code_spans_and_links_are_found_outside_of_code_blocks() {
        assert_eq!(code_spans("see `a` and `b`"), ["a", "b"]);
        let text = "[x](one.md)\n```\n[y](two.md)\n```\n[z](three.md#part)";
        assert_eq!(links(text), [(1, "one.md"), (5, "three.md#part")]);
    }
}
