//! Weights of classes in the loss.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `none`, `balanced`, or a weight for some labels (`{rare: 5.0}`; the others weigh 1).
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ClassWeights {
    /// All classes weigh the same.
    #[default]
    None,
    /// `rows / (classes x rows of the class)`, as scikit-learn's `class_weight="balanced"`: every class counts as much
    /// as any other.
    Balanced,
    /// By label, as it stands in the data.
    ByLabel(BTreeMap<String, f64>),
}

impl ClassWeights {
    /// The weight of each class, or `None` where all weigh the same. `labels` by class index, `counts` the training rows
    /// of each. `Err` names the key of a label that the data does not have, beside the reason.
    pub fn resolve(&self, labels: &[String], counts: &[usize]) -> Result<Option<Vec<f32>>, (String, String)> {
        match self {
            Self::None => Ok(None),
            Self::Balanced => {
                let (rows, classes) = (counts.iter().sum::<usize>() as f64, counts.len() as f64);
                // A class without training rows never enters the loss; its weight only has to be finite.
                Ok(Some(counts.iter().map(|&count| (rows / (classes * count.max(1) as f64)) as f32).collect()))
            }
            Self::ByLabel(weights) => {
                if let Some(unknown) = weights.keys().find(|label| !labels.contains(label)) {
                    let problem = format!("no class `{unknown}`; there are {}", labels.join(", "));
                    return Err((format!("class_weights.{unknown}"), problem));
                }
                Ok(Some(labels.iter().map(|label| weights.get(label).map_or(1.0, |&weight| weight as f32)).collect()))
            }
        }
    }

    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        let Self::ByLabel(weights) = self else { return Ok(()) };
        match weights.iter().find(|(_, weight)| !(**weight > 0.0 && weight.is_finite())) {
            Some((label, weight)) => Err(("class_weights", format!("weight `{weight}` of `{label}` is not above 0"))),
            None => Ok(()),
        }
    }
}

impl Serialize for ClassWeights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str("none"),
            Self::Balanced => serializer.serialize_str("balanced"),
            Self::ByLabel(weights) => weights.serialize(serializer),
        }
    }
}

/// By hand, because serde's untagged enums lose the key of a wrong weight.
impl<'de> Deserialize<'de> for ClassWeights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrMap)
    }
}

struct TextOrMap;

impl<'de> Visitor<'de> for TextOrMap {
    type Value = ClassWeights;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("`none`, `balanced` or weights by label")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ClassWeights, E> {
        match text {
            "none" => Ok(ClassWeights::None),
            "balanced" => Ok(ClassWeights::Balanced),
            other => Err(E::unknown_variant(other, &["none", "balanced"])),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ClassWeights, A::Error> {
        BTreeMap::deserialize(MapAccessDeserializer::new(map)).map(ClassWeights::ByLabel)
    }
}

impl JsonSchema for ClassWeights {
    fn schema_name() -> Cow<'static, str> {
        "ClassWeights".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`none`, `balanced` (rows / (classes x rows of the class)), or weights by label; the others weigh 1.",
            "anyOf": [
                {"type": "string", "enum": ["none", "balanced"]},
                {"type": "object", "additionalProperties": {"type": "number", "exclusiveMinimum": 0}},
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(weights: &ClassWeights) -> Result<Option<Vec<f32>>, (String, String)> {
        let labels: Vec<String> = ["cat", "dog", "eel"].map(str::to_owned).to_vec();
        weights.resolve(&labels, &[6, 3, 1])
    }

    /// `compute_class_weight("balanced", ...)` of scikit-learn 1.9.
    #[test]
    fn balanced_weights_are_those_of_scikit_learn() {
        let weights = resolve(&ClassWeights::Balanced).unwrap().unwrap();
        for (found, wanted) in weights.iter().zip([0.5555556, 1.1111112, 3.3333333]) {
            assert!((found - wanted).abs() < 1e-6, "{weights:?}");
        }
    }

    #[test]
    fn text_and_mapping_are_read_and_written() {
        for (json, value) in [
            ("\"none\"", ClassWeights::None),
            ("\"balanced\"", ClassWeights::Balanced),
            ("{\"dog\":2.5}", ClassWeights::ByLabel(BTreeMap::from([("dog".to_owned(), 2.5)]))),
        ] {
            assert_eq!(serde_json::from_str::<ClassWeights>(json).unwrap(), value);
            assert_eq!(serde_json::to_string(&value).unwrap(), json);
        }
        assert_eq!(resolve(&ClassWeights::None), Ok(None));
        let dog = |label: &str| ClassWeights::ByLabel(BTreeMap::from([(label.to_owned(), 2.5)]));
        assert_eq!(resolve(&dog("dog")), Ok(Some(vec![1.0, 2.5, 1.0])));
        assert_eq!(resolve(&dog("dgo")).unwrap_err().0, "class_weights.dgo");
        let error = serde_json::from_str::<ClassWeights>("\"balance\"").unwrap_err().to_string();
        assert!(error.contains("expected `none` or `balanced`"), "{error}");
    }
}
