//! The evaluator beside a naive one: random conditions over random twins, written out and asked, must find the devices
//! that the naive evaluator finds by walking their documents.

use ferrohub::hub::HubState;
use serde_json::{Map, Value, json};

use crate::hub_queries::{create, empty_hub, fill, names};
use crate::support::{Random, twin_document};

impl Random {
    fn primitive(&mut self) -> Value {
        let values = [
            json!(0),
            json!(1),
            json!(2),
            json!(1.5),
            json!(-1),
            json!("a"),
            json!("ab"),
            json!(""),
            json!(true),
            json!(false),
        ];
        self.one_of(&values)
    }

    /// What may stand in a twin: no null.
    fn value(&mut self, depth: usize) -> Value {
        match self.below(6) {
            0 if depth > 0 => self.object(depth - 1).into(),
            1 => Value::Array((0..self.below(3)).map(|_| self.primitive()).collect()),
            _ => self.primitive(),
        }
    }

    fn object(&mut self, depth: usize) -> Map<String, Value> {
        let keys: Vec<_> = ["a", "b", "c"].into_iter().filter(|_| self.below(3) > 0).collect();
        keys.into_iter().map(|key| (key.to_owned(), self.value(depth))).collect()
    }

    fn path(&mut self) -> Vec<String> {
        let roots: [&[&str]; 4] =
            [&["tags"], &["properties", "desired"], &["properties", "reported"], &["status"]];
        let mut path: Vec<_> = self.one_of(&roots).iter().map(|&name| name.to_owned()).collect();
        let length = self.below(3);
        path.extend((0..length).map(|_| self.one_of(&["a", "b", "c"]).to_owned()));
        path
    }

    fn operand(&mut self, depth: usize) -> Tree {
        match self.below(8) {
            0 => Tree::Constant(None),
            1 | 2 => Tree::Constant(Some(self.one_of(&[
                Value::Null,
                json!(1),
                json!("a"),
                json!(true),
                json!(1.5),
            ]))),
            3 if depth > 0 => {
                let sign = self.one_of(&['+', '-', '*', '/', '%']);
                Tree::Arithmetic(Box::new(self.operand(depth - 1)), sign, Box::new(self.operand(depth - 1)))
            }
            _ => Tree::Path(self.path()),
        }
    }

    fn condition(&mut self, depth: usize) -> Tree {
        let inner = depth.saturating_sub(1);
        match self.below(if depth == 0 { 5 } else { 9 }) {
            0 => Tree::IsDefined(self.path()),
            1 => Tree::In(
                Box::new(self.operand(inner)),
                (0..=self.below(3)).map(|_| self.primitive()).collect(),
                self.below(2) == 0,
            ),
            2 => Tree::StartsWith(self.path(), self.one_of(&["", "a", "en"])),
            3 | 4 => {
                let operator = self.one_of(&["=", "!=", "<>", "<", "<=", ">", ">="]);
                Tree::Compare(Box::new(self.operand(inner)), operator, Box::new(self.operand(inner)))
            }
            5 => Tree::Not(Box::new(self.condition(inner))),
            6 => Tree::Truth(self.path()),
            many => Tree::Many((0..2 + self.below(2)).map(|_| self.condition(inner)).collect(), many == 7),
        }
    }
}

enum Tree {
    Constant(Option<Value>),
    Path(Vec<String>),
    Arithmetic(Box<Tree>, char, Box<Tree>),
    IsDefined(Vec<String>),
    In(Box<Tree>, Vec<Value>, bool),
    StartsWith(Vec<String>, &'static str),
    Compare(Box<Tree>, &'static str, Box<Tree>),
    Not(Box<Tree>),
    Truth(Vec<String>),
    /// AND if true, else OR.
    Many(Vec<Tree>, bool),
}

impl Tree {
    /// As a query has it, with all parentheses.
    fn text(&self) -> String {
        match self {
            Self::Constant(None) => "undefined".to_owned(),
            Self::Constant(Some(value)) => value.to_string(),
            Self::Path(path) | Self::Truth(path) => path.join("."),
            Self::Arithmetic(left, sign, right) => format!("({} {sign} {})", left.text(), right.text()),
            Self::IsDefined(path) => format!("is_defined({})", path.join(".")),
            Self::In(inner, constants, is_in) => {
                let word = if *is_in { "IN" } else { "NIN" };
                format!("{} {word} {}", inner.text(), Value::from(constants.clone()))
            }
            Self::StartsWith(path, start) => format!("STARTSWITH({}, '{start}')", path.join(".")),
            Self::Compare(left, operator, right) => format!("{} {operator} {}", left.text(), right.text()),
            Self::Not(inner) => format!("NOT ({})", inner.text()),
            Self::Many(parts, all) => {
                let parts: Vec<_> = parts.iter().map(|part| format!("({})", part.text())).collect();
                parts.join(if *all { " AND " } else { " OR " })
            }
        }
    }

    /// The value for a document; nothing stands for undefined.
    fn value(&self, document: &Value) -> Option<Value> {
        let at = |path: &[String]| path.iter().try_fold(document, |value, key| value.get(key)).cloned();
        match self {
            Self::Constant(value) => value.clone(),
            Self::Path(path) | Self::Truth(path) => at(path),
            Self::IsDefined(path) => Some(at(path).is_some().into()),
            Self::StartsWith(path, start) => Some(at(path)?.as_str()?.starts_with(start).into()),
            Self::Not(inner) => Some((!inner.value(document)?.as_bool()?).into()),
            Self::In(inner, constants, is_in) => {
                let item = inner.value(document)?;
                let any = constants.iter().any(|constant| equal(&item, constant) == Some(true));
                equal(&item, &item).map(|_| (any == *is_in).into())
            }
            Self::Compare(left, operator, right) => {
                compare(&left.value(document)?, operator, &right.value(document)?).map(Value::Bool)
            }
            Self::Arithmetic(left, sign, right) => {
                let (left, right) = (left.value(document)?.as_f64()?, right.value(document)?.as_f64()?);
                let result = match sign {
                    '+' => left + right,
                    '-' => left - right,
                    '*' => left * right,
                    '/' => left / right,
                    _ => left % right,
                };
                result.is_finite().then(|| result.into())
            }
            Self::Many(parts, all) => {
                let truths: Vec<_> =
                    parts.iter().map(|part| part.value(document).and_then(|value| value.as_bool())).collect();
                if truths.contains(&Some(!*all)) {
                    Some((!*all).into())
                } else {
                    (!truths.contains(&None)).then(|| (*all).into())
                }
            }
        }
    }
}

fn equal(left: &Value, right: &Value) -> Option<bool> {
    compare(left, "=", right)
}

fn compare(left: &Value, operator: &str, right: &Value) -> Option<bool> {
    let kind = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) | Value::Object(_) => 4,
    };
    if kind(left) == 4 || kind(right) == 4 {
        return None;
    }
    if kind(left) != kind(right) {
        return match operator {
            "=" => Some(false),
            "!=" | "<>" => Some(true),
            _ => None,
        };
    }
    let less = |left: &Value, right: &Value| match kind(left) {
        0 => false,
        1 => !left.as_bool().unwrap() && right.as_bool().unwrap(),
        2 => left.as_f64().unwrap() < right.as_f64().unwrap(),
        _ => left.as_str().unwrap() < right.as_str().unwrap(),
    };
    let (below, above) = (less(left, right), less(right, left));
    Some(match operator {
        "=" => !below && !above,
        "!=" | "<>" => below || above,
        "<" => below,
        "<=" => !above,
        ">" => above,
        _ => !below,
    })
}

async fn fleet(random: &mut Random) -> (HubState, Vec<(String, Value)>) {
    let hub = empty_hub();
    let mut documents = Vec::new();
    for number in 0..30 {
        let name = format!("device-{number:02}");
        let id = create(&hub, &name).await;
        let service = json!({ "tags": random.object(2), "properties": { "desired": random.object(2) } });
        fill(&hub, &id, service, Some(random.object(2).into())).await;
        documents.push((name, twin_document(&id, &hub.twin(&id).await.unwrap())));
    }
    (hub, documents)
}

#[tokio::test]
async fn random_conditions_find_what_a_naive_evaluator_finds() {
    let mut random = Random(0x5eed);
    let mut found_some = 0;
    for _ in 0..20 {
        let (hub, documents) = fleet(&mut random).await;
        for _ in 0..100 {
            let condition = random.condition(3);
            let query = format!("SELECT * FROM devices WHERE {}", condition.text());
            let page = hub.query_twins(&query, 100, None).await;
            let page = page.unwrap_or_else(|error| panic!("{query}: {error}"));
            let fulfils = |document: &Value| condition.value(document) == Some(Value::Bool(true));
            let expected: Vec<_> = documents.iter().filter(|(_, document)| fulfils(document)).collect();
            let expected: Vec<_> = expected.into_iter().map(|(name, _)| name.clone()).collect();
            assert_eq!(names(&page.json()), expected, "{query}");
            found_some += usize::from(!expected.is_empty() && expected.len() < documents.len());
        }
    }
    assert!(found_some > 300, "only {found_some} conditions part the devices");
}

#[tokio::test]
async fn aggregates_of_random_groups_are_those_of_a_naive_count() {
    let mut random = Random(0xa99e);
    for _ in 0..40 {
        let (hub, documents) = fleet(&mut random).await;
        let query = "SELECT tags.a AS key, COUNT() AS n, SUM(tags.b) AS s FROM devices WHERE is_defined(tags.a) GROUP BY tags.a";
        let rows = hub.query_twins(query, 100, None).await.unwrap().json();
        let counted: u64 = rows.iter().map(|row| row["n"].as_u64().unwrap()).sum();
        let defined = |document: &Value| document["tags"].get("a").is_some();
        assert_eq!(counted, documents.iter().filter(|(_, document)| defined(document)).count() as u64);
        for row in rows {
            let group: Vec<_> = documents
                .iter()
                .filter(|(_, document)| document["tags"].get("a") == row.get("key"))
                .collect();
            assert_eq!(row["n"], group.len(), "{row}");
            let values: Vec<_> = group.iter().filter_map(|(_, document)| document["tags"].get("b")).collect();
            let numbers: Option<f64> = values.iter().map(|value| value.as_f64()).sum();
            assert_eq!(row.get("s").and_then(Value::as_f64), numbers, "{row}");
        }
    }
}
