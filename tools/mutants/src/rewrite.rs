//! Compiles changes into a source, each behind a question whether it is the one chosen.
//!
//! A changed operator becomes `(if is_chosen_change(7) { a < b } else { a > b })`, a changed function begins with
//! `if is_chosen_change(8) { return None; }`, and an arm that goes away gets a guard.

use std::collections::{BTreeSet, HashMap};

use proc_macro2::{Literal, Span};
use syn::spanned::Spanned as _;
use syn::visit_mut::{self, VisitMut};
use syn::{Arm, BinOp, Block, Expr, Stmt, parse_quote};

use crate::change::{Change, Genre, Position};

/// Changes of one source, by their numbers.
pub(crate) struct Rewrite<'a> {
    at: HashMap<Position, Vec<(usize, &'a Change)>>,
    /// Those that are compiled in.
    pub(crate) done: BTreeSet<usize>,
}

impl<'a> Rewrite<'a> {
    pub(crate) fn of(changes: impl IntoIterator<Item = (usize, &'a Change)>) -> Self {
        let mut at: HashMap<Position, Vec<_>> = HashMap::new();
        changes.into_iter().for_each(|change| at.entry(change.1.at()).or_default().push(change));
        Self { at, done: BTreeSet::new() }
    }

    /// The changes of a genre that begin here, with what stands there afterwards, which parses as `T`.
    fn take<T: syn::parse::Parse>(&mut self, span: Span, genre: Genre) -> Vec<(Literal, T)> {
        let start = span.start();
        let here = Position { line: start.line, column: start.column.saturating_add(1) };
        let mut taken = Vec::new();
        for (number, change) in self.at.get(&here).into_iter().flatten() {
            if change.genre == genre
                && let Ok(replacement) = syn::parse_str(&change.replacement)
                && self.done.insert(*number)
            {
                taken.push((Literal::usize_unsuffixed(*number), replacement));
            }
        }
        taken
    }

    fn body(&mut self, block: &mut Block) {
        let first = block.stmts.first().map(|first| first.span());
        let values: Vec<(Literal, Expr)> =
            first.map(|first| self.take(first, Genre::FnValue)).unwrap_or_default();
        visit_mut::visit_block_mut(self, block);
        let early = |(number, value): (Literal, Expr)| -> Stmt {
            parse_quote!(if crate::is_chosen_change(#number) { return #value; })
        };
        block.stmts.splice(..0, values.into_iter().map(early));
    }

    fn binary(&mut self, expression: &mut Expr) {
        let Expr::Binary(binary) = &*expression else { return };
        let operators: Vec<(Literal, BinOp)> = if is_chain(expression) {
            Vec::new()
        } else {
            self.take(binary.op.span(), Genre::BinaryOperator)
        };
        let (left, right) = (binary.left.clone(), binary.right.clone());
        visit_mut::visit_expr_mut(self, expression);
        for (number, operator) in operators {
            choose(expression, &number, &parse_quote!((#left) #operator (#right)));
        }
    }

    fn unary(&mut self, expression: &mut Expr) {
        let Expr::Unary(unary) = &*expression else { return };
        let inner = (*unary.expr).clone();
        let gone: Vec<(Literal, Nothing)> = self.take(unary.op.span(), Genre::UnaryOperator);
        visit_mut::visit_expr_mut(self, expression);
        gone.iter().for_each(|(number, _)| choose(expression, number, &inner));
    }

    /// Fields that come from the base instead.
    fn fields(&mut self, expression: &mut Expr) {
        let Expr::Struct(whole) = &*expression else { return };
        let mut shorter = Vec::new();
        for field in whole.fields.iter().filter(|_| whole.rest.is_some()) {
            for (number, Nothing) in self.take(field.span(), Genre::StructField) {
                let mut one = whole.clone();
                one.fields = whole.fields.iter().filter(|other| *other != field).cloned().collect();
                if !one.fields.empty_or_trailing() {
                    one.fields.push_punct(Default::default());
                }
                shorter.push((number, Expr::Struct(one)));
            }
        }
        visit_mut::visit_expr_mut(self, expression);
        shorter.iter().for_each(|(number, one)| choose(expression, number, one));
    }
}

impl VisitMut for Rewrite<'_> {
    fn visit_item_fn_mut(&mut self, function: &mut syn::ItemFn) {
        if function.sig.constness.is_none() {
            self.body(&mut function.block);
        }
    }

    fn visit_impl_item_fn_mut(&mut self, function: &mut syn::ImplItemFn) {
        if function.sig.constness.is_none() {
            self.body(&mut function.block);
        }
    }

    fn visit_trait_item_fn_mut(&mut self, function: &mut syn::TraitItemFn) {
        if let Some(block) = &mut function.default {
            self.body(block);
        }
    }

    // What the compiler computes cannot ask.
    fn visit_item_const_mut(&mut self, _: &mut syn::ItemConst) {}
    fn visit_impl_item_const_mut(&mut self, _: &mut syn::ImplItemConst) {}
    fn visit_item_static_mut(&mut self, _: &mut syn::ItemStatic) {}
    fn visit_type_mut(&mut self, _: &mut syn::Type) {}

    fn visit_arm_mut(&mut self, arm: &mut Arm) {
        let gone: Vec<(Literal, Nothing)> = self.take(arm.span(), Genre::MatchArm);
        let guard = arm.guard.as_ref().filter(|(_, guard)| !is_chain(guard)).map(|(_, guard)| guard.span());
        let guards: Vec<(Literal, Expr)> =
            guard.map(|guard| self.take(guard, Genre::MatchArmGuard)).unwrap_or_default();
        visit_mut::visit_arm_mut(self, arm);
        if let Some((_, guard)) = &mut arm.guard {
            guards.iter().for_each(|(number, value)| choose(guard, number, value));
        }
        for (number, Nothing) in gone {
            let (sign, guard) = match arm.guard.take() {
                None => (Default::default(), parse_quote!(!crate::is_chosen_change(#number))),
                Some((sign, guard)) => (sign, parse_quote!(!crate::is_chosen_change(#number) && #guard)),
            };
            arm.guard = Some((sign, Box::new(guard)));
        }
    }

    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        match expression {
            Expr::Binary(_) => self.binary(expression),
            Expr::Unary(_) => self.unary(expression),
            Expr::Struct(_) => self.fields(expression),
            _ => visit_mut::visit_expr_mut(self, expression),
        }
    }
}

/// What stands where something goes away.
struct Nothing;

impl syn::parse::Parse for Nothing {
    fn parse(_: syn::parse::ParseStream<'_>) -> syn::Result<Self> {
        Ok(Self)
    }
}

/// Puts another expression in the place of one if the change is the one chosen.
fn choose(expression: &mut Expr, number: &Literal, other: &Expr) {
    let this = &*expression;
    *expression = parse_quote!((if crate::is_chosen_change(#number) { #other } else { #this }));
}

/// Whether it is `a && let Some(b) = c`, which is an operand of no other operator.
fn is_chain(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(binary) => is_chain(&binary.left) || is_chain(&binary.right),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `source` with one change at the first `^` of the line below, of one line of source.
    fn rewritten(source: &str, mark: &str, genre: &str, replacement: &str) -> String {
        let column = mark.find('^').unwrap() + 1;
        let change = serde_json::json!({
            "file": "f", "name": "n", "genre": genre, "replacement": replacement,
            "span": { "start": { "line": 1, "column": column } }, "function": null,
        });
        let change: Change = serde_json::from_value(change).unwrap();
        let mut tree = syn::parse_file(source).unwrap();
        let mut rewrite = Rewrite::of([(7, &change)]);
        rewrite.visit_file_mut(&mut tree);
        assert_eq!(rewrite.done.len(), usize::from(prettyplease::unparse(&tree).contains("chosen")));
        prettyplease::unparse(&tree)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace("crate::is_chosen_change", "chosen")
    }

    #[test]
    fn an_operator_is_chosen_between() {
        let is = |source, mark, genre, replacement, expected| {
            assert_eq!(rewritten(source, mark, genre, replacement), expected);
        };
        is(
            "fn f() -> bool { a() == b }",
            "                     ^",
            "BinaryOperator",
            "!=",
            "fn f() -> bool { (if chosen(7) { (a()) != (b) } else { a() == b }) }",
        );
        is(
            "fn f() -> bool { !a }",
            "                 ^",
            "UnaryOperator",
            "",
            "fn f() -> bool { (if chosen(7) { a } else { !a }) }",
        );
        // Other columns, constants and chains with `let` stay as they are.
        is("fn f() -> bool { a == b }", "^", "BinaryOperator", "!=", "fn f() -> bool { a == b }");
        is("const A: u8 = 1 + 2;", "                ^", "BinaryOperator", "*", "const A: u8 = 1 + 2;");
        is(
            "fn f() { if a && let B = b {} }",
            "              ^",
            "BinaryOperator",
            "||",
            "fn f() { if a && let B = b {} }",
        );
    }

    #[test]
    fn a_function_returns_early_and_an_arm_goes_away() {
        let is = |source, mark, genre, replacement, expected| {
            assert_eq!(rewritten(source, mark, genre, replacement), expected);
        };
        is(
            "fn f() -> Option<u8> { g() }",
            "                       ^",
            "FnValue",
            "None",
            "fn f() -> Option<u8> { if chosen(7) { return None; } g() }",
        );
        is(
            "fn f() { match a { B => c, _ => d } }",
            "                   ^",
            "MatchArm",
            "",
            "fn f() { match a { B if !chosen(7) => c, _ => d, } }",
        );
        is(
            "fn f() { match a { B if e => c, _ => d } }",
            "                        ^",
            "MatchArmGuard",
            "true",
            "fn f() { match a { B if (if chosen(7) { true } else { e }) => c, _ => d, } }",
        );
        is(
            "fn f() -> A { A { b, c: 1, ..d } }",
            "                     ^",
            "StructField",
            "",
            "fn f() -> A { (if chosen(7) { A { b, ..d } } else { A { b, c: 1, ..d } }) }",
        );
    }
}
