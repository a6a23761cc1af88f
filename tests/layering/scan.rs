//! The text scan behind the layering rule: source text to the paths that it names.

/// What one file holds.
pub(crate) struct Scan {
    /// Every path outside `#[cfg(test)]`, resolved to `crate` where it leaves the room by `super`, with its line.
    pub(crate) paths: Vec<(Vec<String>, usize)>,
    /// The modules in files of their own that exist for tests only.
    pub(crate) test_modules: Vec<Vec<String>>,
}

/// `src/sip/uri.rs` → `[sip, uri]`; `src/sip/mod.rs` → `[sip]`; `src/lib.rs` → `[]`.
pub(crate) fn module_path(file: &str) -> Vec<String> {
    let inner = file.trim_start_matches("src/").trim_end_matches(".rs");
    inner
        .split('/')
        .filter(|part| *part != "mod" && *part != "lib")
        .map(str::to_owned)
        .collect()
}

/// Collects the paths of a file.
pub(crate) fn scan(source: &str, file: &str) -> Scan {
    let module = module_path(file);
    let tokens = tokens(source);
    let mut found = Scan {
        paths: Vec::new(),
        test_modules: Vec::new(),
    };
    // Where we are: the modules written inline, each with the brace depth inside it.
    let mut inline: Vec<(usize, String)> = Vec::new();
    let (mut depth, mut at) = (0usize, 0);
    while let Some(token) = tokens.get(at) {
        let here = || module.iter().chain(inline.iter().map(|(_, name)| name)).cloned();
        if let Some(end) = test_attribute(&tokens, at) {
            let (next, name) = skip_item(&tokens, end);
            found
                .test_modules
                .extend(name.map(|name| match name.strip_suffix(".rs") {
                    // `#[path = "…"]` counts from the folder of the file.
                    Some(_) => module_path(&format!(
                        "{}/{name}",
                        file.rsplit_once('/').map_or("", |(folder, _)| folder)
                    )),
                    None => here().chain([name]).collect(),
                }));
            at = next;
            continue;
        }
        match token.text.as_str() {
            "mod" if text(&tokens, at + 2) == "{" => inline.push((depth + 1, text(&tokens, at + 1).to_owned())),
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                inline.retain(|(inside, _)| *inside <= depth);
            }
            _ if token.is_word() && starts_path(&tokens, at) => {
                let mut raw = Vec::new();
                let next = paths_from(&tokens, at, &mut Vec::new(), &mut raw);
                let module: Vec<String> = here().collect();
                found
                    .paths
                    .extend(raw.into_iter().map(|(path, line)| (resolve(&module, path), line)));
                at = next;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// A word behind `::` is inside a path; one behind a single `.` is a field or a method.
fn starts_path(tokens: &[Token], at: usize) -> bool {
    let back = |steps: usize| at.checked_sub(steps).map_or("", |index| text(tokens, index));
    back(1) != "::" && (back(1) != "." || back(2) == ".")
}

/// Reads the path at `at`, with the groups in braces of a `use`, into `out`; returns the index behind it.
fn paths_from(tokens: &[Token], mut at: usize, head: &mut Vec<String>, out: &mut Vec<(Vec<String>, usize)>) -> usize {
    let length = head.len();
    let line = tokens.get(at).map_or(0, |token| token.line);
    while let Some(token) = tokens.get(at) {
        if token.text == "{" && head.len() > length {
            at += 1;
            while !["}", ""].contains(&text(tokens, at)) {
                at = match text(tokens, at) {
                    "," => at + 1,
                    "as" => at + 2,
                    word if word == "*" || tokens[at].is_word() => paths_from(tokens, at, head, out),
                    _ => at + 1,
                };
            }
            head.truncate(length);
            return at + 1;
        }
        if !token.is_word() && token.text != "*" {
            break;
        }
        head.push(token.text.clone());
        at += 1;
        if text(tokens, at) != "::" {
            break;
        }
        at += 1;
    }
    if head.len() > length {
        out.push((head.clone(), line));
    }
    head.truncate(length);
    at
}

/// Rewrites a path that leaves its room by `super` to one that starts at `crate`; any other is returned as it is.
fn resolve(module: &[String], path: Vec<String>) -> Vec<String> {
    let up = path.iter().take_while(|part| *part == "super" || *part == "self");
    let (steps, supers) = (up.clone().count(), up.filter(|part| *part == "super").count());
    if supers == 0 || supers < module.len() {
        return path;
    }
    std::iter::once("crate".to_owned())
        .chain(path.into_iter().skip(steps))
        .collect()
}

/// If `#[cfg(test)]`, or a `cfg` that needs `test` among others, starts here: the index behind it.
fn test_attribute(tokens: &[Token], at: usize) -> Option<usize> {
    if ["#", "[", "cfg"]
        .iter()
        .enumerate()
        .any(|(offset, wanted)| text(tokens, at + offset) != *wanted)
    {
        return None;
    }
    let end = (at..tokens.len()).find(|&index| tokens[index].text == "]")?;
    let has = |word: &str| tokens[at..end].iter().any(|token| token.text == word);
    (has("test") && !has("not") && !has("any")).then_some(end + 1)
}

/// Skips the item at `at`: to its `;`, or to the brace that closes its body. Of `mod name;` the name is returned, or the
/// file that a `#[path]` before it names.
fn skip_item(tokens: &[Token], at: usize) -> (usize, Option<String>) {
    let mut depth = 0usize;
    let (mut name, mut file) = (None, None);
    for index in at..tokens.len() {
        match tokens[index].text.as_str() {
            "mod" if depth == 0 => name = Some(text(tokens, index + 1).to_owned()),
            "path" if depth == 1 && text(tokens, index + 1) == "=" => {
                file = Some(text(tokens, index + 2).trim_matches('"').to_owned());
            }
            "{" | "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return (index + 1, None);
                }
            }
            ";" if depth == 0 => return (index + 1, name.map(|name| file.unwrap_or(name))),
            _ => {}
        }
    }
    (tokens.len(), None)
}

/// A word, `::`, a plain string with its quotes, or one other character.
struct Token {
    text: String,
    line: usize,
}

impl Token {
    fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

fn text(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| token.text.as_str())
}

/// Cuts source text into tokens; comments and all literals but plain strings vanish.
fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut out: Vec<Token> = Vec::new();
    let (mut i, mut line) = (0, 1);
    while i < chars.len() {
        let start = i;
        let token = |text: String| Token { text, line };
        match chars[i] {
            '/' if at(i + 1) == '/' => i = (i..chars.len()).find(|&end| chars[end] == '\n').unwrap_or(chars.len()),
            '/' if at(i + 1) == '*' => i = end_of_block_comment(&chars, i),
            '"' => {
                i = end_of_quoted(&chars, i, '"').min(chars.len());
                out.push(token(chars[start..i].iter().collect()));
            }
            // A lifetime is no literal: no quote closes it.
            '\'' if at(i + 1) == '\\' || at(i + 2) == '\'' => i = end_of_quoted(&chars, i, '\''),
            ':' if at(i + 1) == ':' => {
                out.push(token("::".to_owned()));
                i += 2;
            }
            c if c.is_alphanumeric() || c == '_' => match end_of_prefixed(&chars, i) {
                Some(end) => i = end,
                None => {
                    while at(i).is_alphanumeric() || at(i) == '_' {
                        i += 1;
                    }
                    out.push(token(chars[start..i].iter().collect()));
                }
            },
            c => {
                if !c.is_whitespace() {
                    out.push(token(c.to_string()));
                }
                i += 1;
            }
        }
        line += chars[start..i.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    out
}

fn end_of_quoted(chars: &[char], from: usize, quote: char) -> usize {
    let mut index = from + 1;
    while index < chars.len() && chars[index] != quote {
        index += if chars[index] == '\\' { 2 } else { 1 };
    }
    index + 1
}

/// Block comments nest.
fn end_of_block_comment(chars: &[char], from: usize) -> usize {
    let (mut depth, mut index) = (0usize, from);
    while index < chars.len() {
        match (chars[index], chars.get(index + 1)) {
            ('/', Some('*')) => (depth, index) = (depth + 1, index + 2),
            ('*', Some('/')) => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
        if depth == 0 {
            break;
        }
    }
    index
}

/// If a literal with a prefix starts here (`b"…"`, `r"…"`, `br#"…"#`, `b'…'`): its end.
fn end_of_prefixed(chars: &[char], from: usize) -> Option<usize> {
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let prefix = (from..from + 2)
        .take_while(|&index| matches!(at(index), 'r' | 'b' | 'c'))
        .count();
    let raw = (from..from + prefix).any(|index| at(index) == 'r');
    let quote = from + prefix;
    let hashes = (quote..chars.len()).take_while(|&index| at(index) == '#').count();
    match (raw, at(quote + hashes)) {
        _ if prefix == 0 => None,
        (true, '"') => {
            let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            let end = (quote + hashes + 1..chars.len()).find(|&index| chars[index..].starts_with(&close));
            Some(end.map_or(chars.len(), |end| end + close.len()))
        }
        (false, quoted @ ('"' | '\'')) if hashes == 0 => Some(end_of_quoted(chars, quote, quoted)),
        _ => None,
    }
}
