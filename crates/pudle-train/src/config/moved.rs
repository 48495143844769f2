//! Keys of older files that are in another section now.
//!
//! `training.without` is `data.without`, and `training.cached_images` is `data.cached_images`.

use std::fmt;

use pudle_core::{Backend, PudleConfig, RangeError};
use pudle_data::DataConfig;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::training::TrainingConfig;
use super::versions::Versions;

/// A `config.toml` as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunFile {
    #[serde(default)]
    pub seed: u64,
    #[serde(default)]
    pub backend: Backend,
    #[serde(default)]
    pub versions: Versions,
    pub model: PudleConfig,
    pub data: DataConfig,
    #[serde(default)]
    pub training: TrainingSection,
}

/// The section `training`, with the keys that belong to the data now.
#[derive(Default)]
pub(super) struct TrainingSection {
    training: TrainingConfig,
    moved: Moved,
}

#[derive(Default)]
struct Moved {
    without: Option<Vec<usize>>,
    cached_images: Option<usize>,
}

impl TrainingSection {
    /// Moves the keys of the data to them.
    ///
    /// # Errors
    /// Returns an error if a file has a key in both places, or if data that are not digits leave some out.
    pub fn move_to(self, data: &mut DataConfig) -> Result<TrainingConfig, RangeError> {
        let Moved { without, cached_images } = self.moved;
        let twice = |field: &'static str| {
            RangeError::new(field, "in the section `training`, too", "in the section `data` only")
        };
        if let Some(without) = without.filter(|without| !without.is_empty()) {
            if !data.without().is_empty() {
                return Err(twice("data.without"));
            }
            data.set_without(without)?;
        }
        // Files of runs over other data than pictures have this key, too; it means nothing there.
        if let (Some(count), Some(place)) = (cached_images, data.cached_images_mut()) {
            if place.is_some() {
                return Err(twice("data.cached_images"));
            }
            *place = Some(count).filter(|count| *count != 512);
        }
        Ok(self.training)
    }
}

impl<'de> Deserialize<'de> for TrainingSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SectionVisitor;
        impl<'de> Visitor<'de> for SectionVisitor {
            type Value = TrainingSection;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the section `training`")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TrainingSection, A::Error> {
                let mut moved = Moved::default();
                let others = OtherKeys { map, moved: &mut moved };
                let training = TrainingConfig::deserialize(MapAccessDeserializer::new(others))?;
                Ok(TrainingSection { training, moved })
            }
        }
        deserializer.deserialize_map(SectionVisitor)
    }
}

/// The entries of a map, without those that are moved.
struct OtherKeys<'a, A> {
    map: A,
    moved: &'a mut Moved,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for OtherKeys<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key::<String>()? {
            match &*key {
                "without" => self.moved.without = Some(self.map.next_value()?),
                "cached_images" => self.moved.cached_images = Some(self.map.next_value()?),
                _ => return seed.deserialize(key.into_deserializer()).map(Some),
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}
