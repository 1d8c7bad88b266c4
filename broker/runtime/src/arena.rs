//! A table whose keys are never mistaken for those of an earlier occupant.

/// Place and generation of an occupant. A key outlives its occupant harmlessly: it then finds
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// As one number, for the kernel to carry.
    pub(crate) fn to_u64(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// Reads [`Key::to_u64`] back.
    pub(crate) fn from_u64(number: u64) -> Key {
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the number")]
        Key { index: number as u32, generation: (number >> 32) as u32 }
    }
}

struct Place<T> {
    generation: u32,
    occupant: Option<T>,
}

pub(crate) struct Arena<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

impl<T> Arena<T> {
    pub(crate) const fn new() -> Arena<T> {
        Arena { places: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn insert(&mut self, occupant: T) -> Key {
        self.insert_with(|_| occupant)
    }

    /// Inserts an occupant that knows its own key.
    pub(crate) fn insert_with(&mut self, occupant: impl FnOnce(Key) -> T) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, occupant: None });
            u32::try_from(self.places.len() - 1).expect("memory ends before 2^32 occupants")
        });
        let place = &mut self.places[index as usize];
        let key = Key { index, generation: place.generation };
        place.occupant = Some(occupant(key));
        key
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.places.get_mut(key.index as usize)?;
        if place.generation != key.generation { None } else { place.occupant.as_mut() }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.index as usize)?;
        if place.generation != key.generation {
            return None;
        }
        let occupant = place.occupant.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(occupant)
    }

    /// The occupants, in the order of their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|place| place.occupant.as_ref())
    }

    /// The same, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().filter_map(|place| place.occupant.as_mut())
    }

    /// The keys of the occupants, in the order of their places.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let occupied = self.places.iter().zip(0..).filter(|(place, _)| place.occupant.is_some());
        occupied.map(|(place, index)| Key { index, generation: place.generation }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_an_earlier_occupant_finds_nothing() {
        let mut arena = Arena::new();
        let first = arena.insert("first");
        assert_eq!(arena.remove(first), Some("first"));
        let second = arena.insert("second");
        assert_ne!(first, second);
        assert_eq!(arena.get_mut(first), None);
        assert_eq!(arena.remove(first), None);
        assert_eq!(arena.get_mut(second), Some(&mut "second"));
        assert_eq!(Key::from_u64(second.to_u64()), second);
        assert_eq!(arena.keys(), [second]);
        assert_eq!(arena.iter().collect::<Vec<_>>(), [&"second"]);
    }
}
