//! Files of the form `KEY=VALUE`, a line each.

/// The variables of such a file, with their values as they stand there and, where that differs, as a program gets
/// them. What is no such line is passed over.
pub fn assignments(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, value, behind)) = next(rest) {
        rest = behind;
        let mut add = |value: &str| found.push((name.to_owned(), value.to_owned()));
        if let Some(quote @ ('"' | '\'' | '`')) = value.chars().next() {
            let inside = quoted(&value[1..], quote);
            add(inside);
            if inside.contains('\\') {
                add(&unescaped(inside));
            }
        } else {
            let line = value.lines().next().unwrap_or_default();
            add(line.split(" #").next().unwrap_or_default().trim_end());
        }
    }
    found
}

/// The next name, everything from its value on, and everything from the next line on.
fn next(mut rest: &str) -> Option<(&str, &str, &str)> {
    while !rest.is_empty() {
        let (line, behind) = rest.split_once('\n').unwrap_or((rest, ""));
        if let Some((name, _)) = line.split_once('=') {
            let value = rest[name.len() + 1..].trim_start_matches([' ', '\t']);
            let name = name.trim();
            let name = name.strip_prefix("export ").map_or(name, str::trim_start);
            if is_name(name) {
                return Some((name, value, behind));
            }
        }
        rest = behind;
    }
    None
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// Up to the closing quote, which may stand some lines below; the rest of the line where there is none.
fn quoted(value: &str, quote: char) -> &str {
    let mut is_escaped = false;
    for (at, c) in value.char_indices() {
        if c == quote && !is_escaped {
            return &value[..at];
        }
        is_escaped = c == '\\' && !is_escaped && quote == '"';
    }
    value.lines().next().unwrap_or_default()
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::assignments;

    #[test]
    fn values_are_found_in_every_notation() {
        let text = "# A comment\nPLAIN=tulip-4711 # why\nexport  QUOTED = 'a # b'\nESCAPED=\"a\\\"b\\nc\"\n\
                    LINES=\"one\ntwo=2\n\"\nnot a line\nEMPTY=\nOPEN=\"tulip\nLAST=x";
        let found = assignments(text);
        let found: Vec<(&str, &str)> =
            found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            found,
            [
                ("PLAIN", "tulip-4711"),
                ("QUOTED", "a # b"),
                ("ESCAPED", "a\\\"b\\nc"),
                ("ESCAPED", "a\"b\nc"),
                ("LINES", "one\ntwo=2\n"),
                ("two", "2"),
                ("EMPTY", ""),
                ("OPEN", "tulip"),
                ("LAST", "x"),
            ]
        );
    }
}
