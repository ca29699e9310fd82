//! One layout for policies: that of Cedar's own formatter, at 100 columns.

use cedar_policy_formatter::{Config, policies_str_to_pretty};

use crate::bounds;
use crate::load_error::{LoadError, LoadErrors, Problem};

/// The text in the one layout; comments stay.
///
/// # Errors
/// [`LoadErrors`] if the text does not parse.
pub fn format(file: &str, text: &str) -> Result<String, LoadErrors> {
    if let Some(error) = bounds::check(file, text) {
        return Err(error.into());
    }
    let (head, rest) = split_head(text);
    let config = Config { line_width: COLUMNS, indent_width: INDENT };
    let laid_out = policies_str_to_pretty(rest, &config).map_err(|error| {
        let problem = Problem::Syntax { message: error.to_string() };
        let found: &dyn miette::Diagnostic = error.as_ref();
        let mut error = LoadError::diagnostic(file, rest, found, problem);
        if let Some(at) = &mut error.at {
            at.line = at.line.saturating_add(head.lines().count());
        }
        LoadErrors::from(error)
    })?;
    Ok(format!("{head}{laid_out}"))
}

/// The comment about the whole file, with the empty line behind it, and the rest: the formatter would make it a comment
/// about the first rule.
fn split_head(text: &str) -> (&str, &str) {
    let comment = text.split_inclusive('\n').take_while(|line| line.starts_with("//"));
    let end = comment.map(str::len).sum();
    let (head, rest) = text.split_at_checked(end).unwrap_or(("", text));
    match rest.strip_prefix('\n') {
        Some(after) if !head.is_empty() => {
            text.split_at_checked(text.len() - after.len()).unwrap_or(("", text))
        }
        _ => ("", text),
    }
}

const COLUMNS: usize = 100;
const INDENT: isize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_laid_out_stays_as_it_is() {
        let text = "// why\n@id(\"a\")permit(principal,action,resource)when{context.now>context.now&&true};";
        let once = format("a.cedar", text).unwrap();
        assert!(once.contains("// why") && once.contains("permit (principal, action, resource)"), "{once}");
        assert_eq!(format("a.cedar", &once), Ok(once));
    }

    #[test]
    fn the_comment_about_the_file_keeps_its_empty_line() {
        let text = "// All of it.\n// More.\n\n// The first rule.\npermit (principal, action, resource);\n";
        assert_eq!(format("a.cedar", text).as_deref(), Ok(text));
        let errors = format("a.cedar", "// All.\n\npermit (principal action, resource);").unwrap_err();
        assert_eq!(errors.iter().next().unwrap().at.map(|at| at.line), Some(3));
    }

    #[test]
    fn what_does_not_parse_is_refused_with_its_place() {
        let errors = format("a.cedar", "permit (principal, action, resource)\nwhen { } ;").unwrap_err();
        let error = errors.iter().next().unwrap();
        assert_eq!((error.problem.code(), error.at.map(|at| at.line)), ("syntax", Some(2)));
    }

    #[test]
    fn an_empty_line_before_the_first_rule_goes() {
        let rule = "permit (principal, action, resource);\n";
        assert_eq!(format("a.cedar", &format!("\n{rule}")).as_deref(), Ok(rule));
    }
}
