//! Policies taken apart for explanations: each as the list of conditions that must all hold for it to apply.
//!
//! The conditions come from Cedar's own syntax tree of the policy's text: scope first, then each `when` and
//! `unless`, split at the conjunctions. Taken together and in order they say what the policy says; a test holds
//! them against Cedar's own decisions.

use std::sync::Arc;

use cedar_policy::pst::{
    self, ActionConstraint, BinaryOp, Clause, Expr, PrincipalConstraint, PstConstructionError,
    ResourceConstraint, Template, UnaryOp,
};
use cedar_policy::{Effect, EntityTypeName, EntityUid, Expression, Policy, RequestEnv, Schema};

/// A policy of the bundle.
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) doc: String,
    pub(crate) effect: Effect,
    /// What it says in Cedar's JSON, without its annotations and whatever its layout.
    pub(crate) says: String,
    /// What its head lets it apply to: who asks, for what, of what.
    pub(crate) asked: Vec<RequestEnv>,
    /// Whether it applies to those, as one expression of Cedar's.
    pub(crate) applies: Expression,
    /// All of them must hold.
    pub(crate) conditions: Vec<Condition>,
}

/// One condition.
pub(crate) struct Condition {
    /// As the policy spells it, but for white space and brackets.
    pub(crate) text: String,
    /// What is evaluated, and the value that it must have.
    pub(crate) expression: Expression,
    pub(crate) must_be: bool,
    /// How it is shown.
    pub(crate) test: Test,
    /// Scope, or a question whether something is there: asked so that the rest can be read.
    pub(crate) guard: bool,
}

/// What a condition tests: what to show besides true and false.
pub(crate) enum Test {
    /// Nothing more to show.
    Truth,
    /// Two sides; `literal` if the right one is a number, a text, a truth or the name of an entity.
    Compare { left: Expression, operator: Operator, right: Expression, literal: bool },
    /// Whether something is there.
    Presence,
    /// A pattern, or a type: what `left` is, against a text.
    Shape { left: Expression, wanted: String },
    /// One side must hold, each a list of conditions that must all hold.
    Either(Vec<Vec<Condition>>),
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    /// The left side is among the right.
    Among,
    NotAmong,
    /// The right side is among the left.
    With,
    Without,
    /// All of the right side are among the left.
    WithAll,
    WithoutAll,
    /// The left side is an address of the right side's network.
    Within,
    NotWithin,
}

impl Operator {
    fn of(op: BinaryOp) -> Option<Self> {
        Some(match op {
            BinaryOp::Eq => Self::Equal,
            BinaryOp::NotEq => Self::NotEqual,
            BinaryOp::Less => Self::Less,
            BinaryOp::LessEq => Self::LessOrEqual,
            BinaryOp::Greater => Self::Greater,
            BinaryOp::GreaterEq => Self::GreaterOrEqual,
            BinaryOp::In => Self::In,
            BinaryOp::Contains => Self::With,
            BinaryOp::ContainsAll => Self::WithAll,
            BinaryOp::IsInRange => Self::Within,
            _ => return None,
        })
    }

    /// The same comparison with its sides swapped, where there is one.
    fn mirrored(self) -> Option<Self> {
        Some(match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::With => Self::Among,
            _ => return None,
        })
    }

    /// The comparison that holds where this one does not.
    pub(crate) fn negated(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
            Self::In => Self::NotIn,
            Self::NotIn => Self::In,
            Self::Among => Self::NotAmong,
            Self::NotAmong => Self::Among,
            Self::With => Self::Without,
            Self::Without => Self::With,
            Self::WithAll => Self::WithoutAll,
            Self::WithoutAll => Self::WithAll,
            Self::Within => Self::NotWithin,
            Self::NotWithin => Self::Within,
        }
    }

    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::NotIn => "not in",
            Self::Among => "one of",
            Self::NotAmong => "none of",
            Self::With => "with",
            Self::Without => "without",
            Self::WithAll => "with all of",
            Self::WithoutAll => "without all of",
            Self::Within => "in the range of",
            Self::NotWithin => "not in the range of",
        }
    }
}

impl Rule {
    /// Whether it can apply where such a principal asks for something.
    pub(crate) fn is_about(&self, principal: &EntityTypeName) -> bool {
        self.asked.iter().any(|env| env.principal() == principal)
    }

    /// Whether it can apply where such a principal asks for this.
    pub(crate) fn is_about_action(&self, principal: &EntityTypeName, action: &EntityUid) -> bool {
        self.asked.iter().any(|env| env.principal() == principal && env.action() == action)
    }

    /// Takes a policy apart. `id` and `doc` are its annotations.
    ///
    /// # Errors
    /// What Cedar says if it cannot read its own text of a condition.
    pub(crate) fn prepare(policy: &Policy, schema: &Schema, id: &str, doc: &str) -> Result<Self, String> {
        let tree = policy.to_pst().map_err(|error| error.to_string())?;
        let tree = tree.body();
        let mut conditions = Vec::new();
        let scope =
            [principal_scope(&tree.principal), action_scope(&tree.action), resource_scope(&tree.resource)];
        for text in scope.into_iter().flatten() {
            conditions.push(scope_condition(&text)?);
        }
        for clause in tree.clauses() {
            conditions.extend(match clause {
                Clause::When(expr) => split(expr, true)?,
                Clause::Unless(expr) => split(expr, false)?,
            });
        }
        let mut json = policy.to_json().map_err(|error| error.to_string())?;
        json.as_object_mut().and_then(|whole| whole.remove("annotations"));
        let says = json.to_string();
        let applies = applies(tree).map_err(|error| error.to_string())?;
        // Conditions may err where they cannot hold: only what the head rules out never errs.
        let head = tree.clone().try_with_clauses([]).and_then(read).map_err(|error| error.to_string())?;
        let asked = head.get_valid_request_envs(schema).collect();
        let (id, doc, effect) = (id.to_owned(), doc.to_owned(), policy.effect());
        Ok(Self { id, doc, effect, says, applies, asked, conditions })
    }
}

fn read(tree: Template) -> Result<Policy, PstConstructionError> {
    Policy::from_pst(pst::Policy::Static(tree.try_into()?))
}

/// What Cedar evaluates of a policy for what its head is about: its authorizer would put it together anew for each request.
///
/// - A head that only tells kinds of principals and resources says no more than [`Rule::asked`], which settles any action.
/// - Conditions are joined so that few are passed on the way to the first, as most rules fail there.
/// - It comes from the tree and not from the text, of which Cedar would copy the place of every expression it evaluates.
fn applies(tree: &Template) -> Result<Expression, PstConstructionError> {
    let conditions = tree.clauses().iter().flat_map(|clause| match clause {
        Clause::When(expr) => sides(expr, BinaryOp::And).into_iter().cloned().collect(),
        Clause::Unless(expr) => vec![Arc::new(Expr::UnaryOp { op: UnaryOp::Not, expr: Arc::clone(expr) })],
    });
    let conditions = all_of(&Vec::from_iter(conditions));
    let tree = tree.clone().try_with_clauses(conditions.map(Clause::When))?;
    let kinds_alone = matches!(tree.principal, PrincipalConstraint::Any | PrincipalConstraint::Is(_))
        && matches!(tree.resource, ResourceConstraint::Any | ResourceConstraint::Is(_));
    let policy = read(tree)?;
    let policy: &cedar_policy_core::ast::Policy = policy.as_ref();
    Ok(match policy.non_scope_constraints() {
        Some(clauses) if kinds_alone => clauses.clone().into(),
        None if kinds_alone => Expression::new_bool(true),
        _ => policy.condition().into(),
    })
}

/// All of these in their order, as a tree without long branches; nothing of nothing.
fn all_of(conditions: &[Arc<Expr>]) -> Option<Arc<Expr>> {
    match conditions {
        [] => None,
        [condition] => Some(Arc::clone(condition)),
        _ => {
            let (left, right) = conditions.split_at_checked(conditions.len() / 2)?;
            let (left, right) = (all_of(left)?, all_of(right)?);
            Some(Arc::new(Expr::BinaryOp { op: BinaryOp::And, left, right }))
        }
    }
}

fn principal_scope(constraint: &PrincipalConstraint) -> Option<String> {
    (*constraint != PrincipalConstraint::Any).then(|| format!("principal {constraint}"))
}

fn resource_scope(constraint: &ResourceConstraint) -> Option<String> {
    (*constraint != ResourceConstraint::Any).then(|| format!("resource {constraint}"))
}

fn action_scope(constraint: &ActionConstraint) -> Option<String> {
    (*constraint != ActionConstraint::Any).then(|| format!("action {constraint}"))
}

/// A condition of the scope, which has the same grammar as an expression.
fn scope_condition(text: &str) -> Result<Condition, String> {
    let (variable, rest) = text.split_once(' ').unwrap_or((text, ""));
    let left = parse(variable)?;
    let sides = rest.split_once(' ').map(|(operator, right)| (operator, parse(right)));
    let test = match sides {
        Some(("in", Ok(right))) => Test::Compare { left, operator: Operator::In, right, literal: false },
        _ => Test::Shape { left, wanted: rest.to_owned() },
    };
    Ok(Condition { text: text.to_owned(), expression: parse(text)?, must_be: true, test, guard: true })
}

/// The conditions that must all hold for an expression to have this value.
fn split(expr: &Arc<Expr>, value: bool) -> Result<Vec<Condition>, String> {
    let mut conditions = Vec::new();
    let mut rest = vec![(Arc::clone(expr), value)];
    while let Some((expr, value)) = rest.pop() {
        match (&*expr, value) {
            (Expr::BinaryOp { op: BinaryOp::And, left, right }, true)
            | (Expr::BinaryOp { op: BinaryOp::Or, left, right }, false) => {
                rest.push((Arc::clone(right), value));
                rest.push((Arc::clone(left), value));
            }
            (Expr::UnaryOp { op: UnaryOp::Not, expr }, value) => rest.push((Arc::clone(expr), !value)),
            (expr, value) => conditions.push(condition(expr, value)?),
        }
    }
    Ok(conditions)
}

fn condition(expr: &Expr, must_be: bool) -> Result<Condition, String> {
    let inner = expr.to_string();
    let (test, guard) = test(expr, must_be)?;
    let plain = matches!(expr, Expr::GetAttr { .. } | Expr::Var(_) | Expr::Literal(_));
    let text = match (must_be, plain) {
        (true, _) => inner.clone(),
        (false, true) => format!("!{inner}"),
        (false, false) => format!("!({inner})"),
    };
    Ok(Condition { text, expression: parse(&inner)?, must_be, test, guard })
}

/// The sides that a connective joins, in order, however they are bracketed.
fn sides(expr: &Arc<Expr>, connective: BinaryOp) -> Vec<&Arc<Expr>> {
    let (mut sides, mut rest) = (Vec::new(), vec![expr]);
    while let Some(expr) = rest.pop() {
        match &**expr {
            Expr::BinaryOp { op, left, right } if *op == connective => rest.extend([right, left]),
            _ => sides.push(expr),
        }
    }
    sides
}

/// What to show, and whether it is a guard.
fn test(expr: &Expr, must_be: bool) -> Result<(Test, bool), String> {
    Ok(match expr {
        Expr::BinaryOp { op: BinaryOp::And | BinaryOp::Or, left, right } => {
            let connective = if must_be { BinaryOp::Or } else { BinaryOp::And };
            let both = sides(left, connective).into_iter().chain(sides(right, connective));
            let sides = both.map(|side| split(side, must_be)).collect::<Result<_, _>>()?;
            (Test::Either(sides), false)
        }
        Expr::BinaryOp { op: BinaryOp::HasTag, .. } | Expr::HasAttr { .. } => (Test::Presence, true),
        Expr::BinaryOp { op, left, right } => match Operator::of(*op) {
            Some(operator) => (compare(left, operator, right)?, false),
            None => (Test::Truth, false),
        },
        Expr::Like { expr: left, .. } | Expr::Is { expr: left, .. } => {
            let (whole, left) = (expr.to_string(), left.to_string());
            let wanted = whole.strip_prefix(&left).unwrap_or(&whole).trim().to_owned();
            (Test::Shape { left: parse(&left)?, wanted }, matches!(expr, Expr::Is { .. }))
        }
        _ => (Test::Truth, false),
    })
}

/// A comparison, with the side that the guest can change on the left.
fn compare(left: &Expr, operator: Operator, right: &Expr) -> Result<Test, String> {
    let constant = |expr: &Expr| matches!(expr, Expr::Literal(_) | Expr::Set(_));
    let (left, operator, right) = match operator.mirrored() {
        Some(mirrored) if constant(left) && !constant(right) => (right, mirrored, left),
        _ => (left, operator, right),
    };
    let literal = matches!(right, Expr::Literal(_));
    let (left, right) = (parse(&left.to_string())?, parse(&right.to_string())?);
    Ok(Test::Compare { left, operator, right, literal })
}

fn parse(text: &str) -> Result<Expression, String> {
    text.parse::<Expression>().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
