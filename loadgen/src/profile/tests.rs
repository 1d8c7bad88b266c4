//! Tests of profiles: their reading, their integral, their picture.

use std::time::Duration;

use expect_test::expect;
use proptest::prelude::*;

use super::*;

fn refusal(phases: &str) -> String {
    let text = format!("name = 'x'\nabout = ''\nsource = ''\n{phases}");
    crate::in_full(&Profile::parse("x", &text).unwrap_err())
}

#[test]
fn the_built_in_profiles_are_what_they_promise() {
    let profiles = Profile::built_in();
    let names: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
    assert_eq!(names, ["black-friday", "steady"]);
    let black_friday = &profiles[0];
    assert_eq!(black_friday.peak(), 10.0);
    // From the base to its peak within a third of a second of twenty.
    assert_eq!(black_friday.multiple_at(0.199), 1.0);
    assert_eq!(black_friday.multiple_at(0.2155), 10.0);
    assert!((3.0..4.0).contains(&black_friday.mean()), "{}", black_friday.mean());
    assert_eq!(profiles[1].mean(), 1.0);
}

#[test]
fn a_refusal_names_the_value_the_limit_and_the_fix() {
    assert_eq!(
        Profile::find("blck-friday").unwrap_err().to_string(),
        "there is no profile `blck-friday`: use black-friday, steady, or the path of a TOML file"
    );
    assert!(refusal("").contains("missing field `phase`"));
    assert_eq!(refusal("phase = []"), "profile x has no phase: add at least one [[phase]]");
    assert_eq!(
        refusal("[[phase]]\nname = 'a'\nuntil = 1.4\nfrom = 1.0"),
        "phase `a` of profile x ends at 1.4: phases end at rising fractions of the run, so it \
         must be above 0 and at most 1"
    );
    assert_eq!(
        refusal(
            "[[phase]]\nname = 'a'\nuntil = 0.5\nfrom = 1.0\n\
             [[phase]]\nname = 'b'\nuntil = 0.5\nfrom = 1.0"
        ),
        "phase `b` of profile x ends at 0.5: phases end at rising fractions of the run, so it \
         must be above 0.5 and at most 1"
    );
    assert_eq!(
        refusal("[[phase]]\nname = 'a'\nuntil = 0.9\nfrom = 1.0"),
        "the last phase of profile x, `a`, ends at 0.9: it must end at 1, the end of the run"
    );
    assert_eq!(
        refusal("[[phase]]\nname = 'a'\nuntil = 1.0\nfrom = 1.0\nto = -2.0"),
        "phase `a` of profile x has the rate -2: multiples of the base rate go from 0 to 1000"
    );
    assert!(refusal("[[phase]]\nname = 'a'\nuntil = nan\nfrom = 1.0").contains("ends at NaN"));
    assert_eq!(
        refusal("[[phase]]\nname = 'a'\nuntil = 1.0\nfrom = 0.0\nto = 2.0\ncurve = 'exponential'"),
        "phase `a` of profile x is exponential from 0 to 2: both must be above 0, or make it linear"
    );
    assert_eq!(
        refusal("[[phase]]\nname = 'a'\nuntil = 1.0\nfrom = 0.0"),
        "profile x offers nothing: give at least one phase a rate above 0"
    );
    assert!(refusal("[[phase]]\nname = 'a'\nuntill = 1.0").contains("unknown field `untill`"));
}

fn any_profile() -> impl Strategy<Value = Profile> {
    let phase = (0.01..1.0f64, 0.0..20.0f64, 0.0..20.0f64, any::<bool>());
    proptest::collection::vec(phase, 1..6).prop_map(|raw| {
        let total: f64 = raw.iter().map(|(length, ..)| length).sum();
        let mut until = 0.0;
        let mut phases: Vec<Phase> = raw
            .into_iter()
            .map(|(length, from, to, is_exponential)| {
                until += length / total;
                let curve = if is_exponential { Curve::Exponential } else { Curve::Linear };
                let least = if is_exponential { 0.1 } else { 0.0 };
                let (from, to) = (from + least, Some(to + least));
                Phase { name: String::new(), until, from, to, curve }
            })
            .collect();
        phases.last_mut().unwrap().until = 1.0;
        let (name, about, source) = Default::default();
        Profile { name, about, source, phases }
    })
}

proptest! {
    #[test]
    fn the_integral_is_that_of_the_rate(profile in any_profile(), end in 0.0..1.0f64) {
        const STEPS: u32 = 20_000;
        let step = end / f64::from(STEPS);
        let middles = (0..STEPS).map(|n| (f64::from(n) + 0.5) * step);
        let sum: f64 = middles.map(|at| profile.multiple_at(at) * step).sum();
        prop_assert!((sum - profile.integral_to(end)).abs() < 0.01, "{sum}");
    }

    #[test]
    fn the_inverse_of_the_integral_is_its_inverse(profile in any_profile(), share in 0.0..1.0f64) {
        let offered = profile.mean() * share;
        let fraction = profile.fraction_where(offered);
        prop_assert!((0.0..=1.0).contains(&fraction));
        prop_assert!((profile.integral_to(fraction) - offered).abs() < 1e-6);
    }
}

#[test]
fn a_curve_is_drawn_before_it_is_run() {
    let picture = Profile::find("black-friday").unwrap().explain(2000.0, Duration::from_secs(20));
    expect![[r#"
        black-friday: a calm shop; the doors open and everybody comes at once; the rush fades; a second hump

          20.0 k/s │                ████▅                                                   
          18.3 k/s │                █████▆                                                  
          16.7 k/s │               ▇██████▇▁                                                
          15.0 k/s │               █████████▃                                               
          13.3 k/s │               ██████████▆▁                                             
          11.7 k/s │               ████████████▄                                            
          10.0 k/s │               ██████████████▅▁                  ▄▆▁                    
          8.33 k/s │               ████████████████▆▃              ▂▇███▃                   
          6.67 k/s │               ███████████████████▅▃▁        ▁▆██████▆▂                 
          5.00 k/s │               ██████████████████████▇▅▄▂▁  ▄██████████▆▃▁              
          3.33 k/s │▂▂▂▂▂▂▂▂▂▂▂▂▂▂████████████████████████████▇███████████████▆▄▃▂▂▂▂▂▂▂▂▂▂▂
          1.67 k/s │████████████████████████████████████████████████████████████████████████
                   └────────────────────────────────────────────────────────────────────────
                    0                                10.0                             20.0 s

          calm               0 s to    4.00 s    2.00 k/s →   2.00 k/s
          cliff           4.00 s to    4.30 s    2.00 k/s →   20.0 k/s
          peak            4.30 s to    5.60 s    20.0 k/s →   20.0 k/s
          decay           5.60 s to    12.0 s    20.0 k/s →   3.00 k/s
          second hump     12.0 s to    14.0 s    3.00 k/s →   10.0 k/s
          evening         14.0 s to    17.0 s    10.0 k/s →   2.00 k/s
          calm again      17.0 s to    20.0 s    2.00 k/s →   2.00 k/s

        peak 20.0 k/s, mean 6.38 k/s, 128 k records in all
        source: https://shopify.engineering/bfcm-readiness-2025 and https://www.moneycontrol.com/news/business/alibaba-singles-day-sales-hit-record-56-billion-at-583000-orders-per-second-6101481.html
    "#]].assert_eq(&picture);
}
