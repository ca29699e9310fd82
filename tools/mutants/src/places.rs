//! Where changes came to stand in a rewritten source, so that what the compiler says can be laid to one of them.

use quote::ToTokens as _;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Expr, ExprIf, ExprMatch};

/// What a source was rewritten to.
#[derive(Default)]
pub(crate) struct Places {
    changes: Vec<Place>,
    matches: Vec<(usize, usize)>,
}

/// One change, and the lines of the branch or arm that is it.
struct Place {
    number: usize,
    first: usize,
    last: usize,
}

impl Places {
    pub(crate) fn of(source: &syn::File) -> Self {
        let mut places = Self::default();
        places.visit_file(source);
        places
    }

    /// The changes of the innermost branch around a line.
    pub(crate) fn at(&self, line: usize) -> Vec<usize> {
        let around = || self.changes.iter().filter(|place| (place.first..=place.last).contains(&line));
        let Some(least) = around().map(Place::lines).min() else { return Vec::new() };
        around().filter(|place| place.lines() == least).map(|place| place.number).collect()
    }

    /// The changes in the innermost `match` around a line.
    pub(crate) fn in_match(&self, line: usize) -> Vec<usize> {
        let around = self.matches.iter().filter(|(first, last)| (*first..=*last).contains(&line));
        let Some((first, last)) = around.min_by_key(|(first, last)| last.abs_diff(*first)) else {
            return Vec::new();
        };
        let inside = self.changes.iter().filter(|place| first <= &place.first && &place.last <= last);
        inside.map(|place| place.number).collect()
    }

    fn condition(&mut self, condition: &Expr, first: usize, last: usize) {
        match condition {
            Expr::Call(call) => {
                let path = call.func.to_token_stream().to_string();
                let number = call.args.first().map(|argument| argument.to_token_stream().to_string());
                if path.ends_with("is_chosen_change")
                    && let Some(Ok(number)) = number.map(|text| text.parse())
                {
                    self.changes.push(Place { number, first, last });
                }
            }
            Expr::Unary(unary) => self.condition(&unary.expr, first, last),
            Expr::Binary(binary) => {
                self.condition(&binary.left, first, last);
                self.condition(&binary.right, first, last);
            }
            _ => {}
        }
    }
}

impl Place {
    fn lines(&self) -> usize {
        self.last.abs_diff(self.first)
    }
}

impl Visit<'_> for Places {
    fn visit_expr_if(&mut self, expression: &ExprIf) {
        let last = expression.then_branch.span().end().line;
        self.condition(&expression.cond, expression.if_token.span.start().line, last);
        visit::visit_expr_if(self, expression);
    }

    fn visit_expr_match(&mut self, expression: &ExprMatch) {
        self.matches.push((expression.span().start().line, expression.span().end().line));
        visit::visit_expr_match(self, expression);
    }

    fn visit_arm(&mut self, arm: &syn::Arm) {
        if let Some((_, guard)) = &arm.guard {
            self.condition(guard, arm.span().start().line, guard.span().end().line);
        }
        visit::visit_arm(self, arm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_laid_to_the_innermost_change_around_it() {
        let source = "fn f() {\n\
                      if crate::is_chosen_change(1) {\n\
                      return (if crate::is_chosen_change(2) {\n\
                      a\n\
                      } else { b });\n\
                      }\n\
                      match c {\n\
                      D if !crate::is_chosen_change(3) && !crate::is_chosen_change(4) => e,\n\
                      _ => g,\n\
                      }\n\
                      }";
        let places = Places::of(&syn::parse_file(source).unwrap());
        let at: Vec<_> = (1..=11).map(|line| places.at(line)).collect();
        let expected: [&[usize]; 11] = [&[], &[1], &[2], &[2], &[2], &[1], &[], &[3, 4], &[], &[], &[]];
        assert_eq!(at, expected);
        assert_eq!(places.in_match(7), [3, 4]);
        assert!(places.in_match(2).is_empty());
    }
}
