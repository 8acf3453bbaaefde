//! From values to places in the picture, and the round values at which an axis is labelled.

/// Where a value stands.
pub(super) trait Scale {
    /// The place of a value.
    fn place(&self, value: f64) -> f64;
}

/// Equal steps of the value are equal steps in the picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linear {
    values: (f64, f64),
    places: (f64, f64),
}

impl Linear {
    /// From the lowest and highest value to the places where they stand.
    pub(super) fn new(values: (f64, f64), places: (f64, f64)) -> Linear {
        Linear { values, places }
    }

    /// From 0 to the next round value that leaves air above the highest.
    pub(super) fn rounded(highest: f64, places: (f64, f64)) -> Linear {
        let step = round_step(highest * 1.1, 4);
        let top = (highest * 1.1 / step).ceil() * step;
        Linear::new((0.0, top), places)
    }

    /// The same places for values that are counted from `origin`.
    pub(super) fn shifted(self, origin: f64) -> Linear {
        Linear {
            values: (self.values.0 - origin, self.values.1 - origin),
            places: self.places,
        }
    }

    /// About so many round values between the lowest and the highest.
    pub(super) fn ticks(&self, about: u32) -> Vec<f64> {
        let (lowest, highest) = self.values;
        let step = round_step(highest - lowest, about);
        let first = (lowest / step).ceil();
        let last = (highest / step).floor();
        let mut ticks = Vec::new();
        let mut tick = first;
        while tick <= last {
            ticks.push(tick * step);
            tick += 1.0;
        }
        ticks
    }
}

impl Scale for Linear {
    fn place(&self, value: f64) -> f64 {
        let (lowest, highest) = self.values;
        let (from, to) = self.places;
        let share = (value - lowest) / (highest - lowest).max(f64::MIN_POSITIVE);
        from + share * (to - from)
    }
}

/// 1, 2 or 5 times a power of ten, so that `range` has at most about `steps` of them.
fn round_step(range: f64, steps: u32) -> f64 {
    let rough = (range / f64::from(steps)).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|step| step * power >= rough);
    step.unwrap_or(10.0) * power
}

/// Equal factors of the value are equal steps in the picture: a stall of a second and a latency of
/// a tenth of a millisecond can both be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Logarithmic {
    inner: Linear,
    values: (f64, f64),
}

impl Logarithmic {
    /// From the lowest value to the power of ten above the highest.
    pub(super) fn new(values: (f64, f64), places: (f64, f64)) -> Logarithmic {
        let top = 10_f64.powf((values.1 * 1.05).log10().ceil());
        let values = (values.0, top);
        Logarithmic {
            inner: Linear::new((values.0.log10(), values.1.log10()), places),
            values,
        }
    }

    /// The powers of ten in it.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let (lowest, highest) = self.values;
        let mut ticks = Vec::new();
        let mut tick = 10_f64.powf(lowest.log10().ceil());
        while tick <= highest * 1.001 {
            ticks.push(tick);
            tick *= 10.0;
        }
        ticks
    }
}

impl Scale for Logarithmic {
    fn place(&self, value: f64) -> f64 {
        let (lowest, highest) = self.values;
        self.inner.place(value.clamp(lowest, highest).log10())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_in_range() {
        let seconds = Linear::new((0.0, 36.0), (0.0, 1.0));
        assert_eq!(
            seconds.ticks(8),
            [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0]
        );
        let around = Linear::new((-150.0, 640.0), (0.0, 1.0));
        assert_eq!(
            around.ticks(8),
            [-100.0, 0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0]
        );
    }

    #[test]
    fn places_follow_values_also_downwards() {
        let down = Linear::new((0.0, 10.0), (100.0, 0.0));
        assert_eq!(down.place(2.5), 75.0);
        assert_eq!(down.shifted(10.0).place(-7.5), 75.0);
        assert!(Linear::new((3.0, 3.0), (0.0, 1.0)).place(3.0).is_finite());
    }

    #[test]
    fn a_rounded_scale_leaves_air() {
        let rate = Linear::rounded(2000.0, (0.0, 1.0));
        assert_eq!(rate.ticks(4).last(), Some(&3000.0));
    }

    #[test]
    fn a_logarithmic_scale_ends_at_a_power_of_ten() {
        let latency = Logarithmic::new((50.0, 5100.0), (100.0, 0.0));
        assert_eq!(latency.ticks(), [100.0, 1000.0, 10_000.0]);
        assert_eq!(latency.place(10_000.0), 0.0);
        assert_eq!(latency.place(1.0), 100.0, "below the lowest is the lowest");
        assert_eq!(latency.place(1e9), 0.0, "above the highest is the highest");
    }
}
