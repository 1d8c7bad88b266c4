//! Tests of profiles: their reading, their integral, their picture.

use std::time::Duration;

use expect_test::expect;
use proptest::prelude::*;

use super::*;

fn refusal(phases: &str) -> String {
    let text = format!("name = 'x'\nabout = ''\nsource = ''\n{phases}");
    crate::in_full(&Profile::parse("x", &text).unwrap_err())
}

const RUN: Duration = Duration::from_secs(20);

fn built_in(name: &str) -> Profile {
    Profile::find(name).unwrap()
}

#[test]
fn every_built_in_profile_has_its_own_name_a_sentence_and_a_source() {
    for ((name, _), profile) in BUILT_IN.into_iter().zip(Profile::built_in()) {
        assert_eq!(profile.name, name);
        assert!(!profile.about.is_empty() && !profile.source.is_empty(), "{name}");
        let written = toml::to_string(&profile).unwrap();
        assert_eq!(Profile::parse(name, &written).unwrap(), profile);
    }
}

/// Name, peak, mean over its own length.
const PROMISES: [(&str, f64, f64); 14] = [
    ("black-friday", 10.0, 3.19),
    ("black-friday-sink", 5.0, 3.0),
    ("singles-day", 25.0, 7.60),
    ("flash-sale", 4.0, 2.17),
    ("prime-day", 6.0, 2.93),
    ("bfcm", 1.37, 1.0),
    ("retry-storm", 4.0, 1.82),
    ("thundering-herd", 8.0, 1.0),
    ("cron", 10.0, 1.3),
    ("sawtooth", 1.5, 1.0),
    ("staircase", 1.5, 0.875),
    ("overload", 1.5, 1.1),
    ("poisson", 1.0, 1.0),
    ("steady", 1.0, 1.0),
];

#[test]
fn the_built_in_profiles_are_what_they_promise() {
    for (name, peak, mean) in PROMISES {
        let profile = built_in(name);
        let curve = profile.curve(profile.length.map_or(RUN, |it| it.0));
        assert_eq!((profile.peak(), curve.peak()), (peak, peak), "{name}");
        assert!((curve.mean() - mean).abs() < 0.005, "{name}: {}", curve.mean());
    }
    // From the base to its peak within a third of a second of twenty.
    let black_friday = built_in("black-friday").curve(RUN);
    assert_eq!(black_friday.multiple_at(0.199), 1.0);
    assert_eq!(black_friday.multiple_at(0.2155), 10.0);
    // And within 26 seconds of half an hour.
    let singles_day = built_in("singles-day").curve(RUN);
    assert_eq!(singles_day.multiple_at(0.10), 1.0);
    assert_eq!(singles_day.multiple_at(0.10 + 26.0 / 1800.0), 25.0);
    assert_eq!(built_in("flash-sale").hot_key, Some(0.2));
    assert_eq!(built_in("poisson").arrivals, Some(Arrivals::Poisson));
}

#[test]
fn a_storm_is_made_of_all_tries_of_whoever_failed() {
    // Of the base 0.30 fails, each with three tries more; none is lost, none invented.
    let mean = built_in("retry-storm").curve(RUN).mean();
    assert!((mean - (1.0 + 0.30 * 3.0 - 0.02 - 0.06)).abs() < 1e-9, "{mean}");
}

#[test]
fn connections_are_opened_anew_where_phases_begin() {
    let ms = |profile: &Profile, run_ms: u64| -> Vec<u128> {
        let times = profile.reconnects(Duration::from_millis(run_ms));
        times.iter().map(Duration::as_millis).collect()
    };
    let parsed = |text: &str| {
        Profile::parse("x", &format!("name = 'x'\nabout = ''\nsource = ''\n{text}")).unwrap()
    };
    assert_eq!(ms(&built_in("thundering-herd"), 20_000), [9_200]);
    assert_eq!(ms(&built_in("steady"), 20_000), [0; 0]);
    let phases = "phase = [{ name = 'a', until = 0.5, from = 1.0 },\
                  { name = 'b', until = 1.0, from = 1.0, reconnect = true }]";
    let every = parsed(&format!("period = '2s'\n{phases}"));
    assert_eq!(ms(&every, 6_500), [1_000, 3_000, 5_000]);
    assert_eq!(ms(&every, 7_000), [1_000, 3_000, 5_000]);
    let turns = parsed(
        "phase = [{ name = 'a', until = 0.5, from = 1.0 },\
         { name = 'b', until = 1.0, repeat = 2, reconnect = true, part = [\
         { name = 'c', until = 0.5, from = 1.0, reconnect = true },\
         { name = 'd', until = 1.0, from = 1.0 }]}]",
    );
    assert_eq!(ms(&turns, 8_000), [4_000, 6_000]);
}

#[test]
fn a_minute_is_a_minute_in_a_run_of_any_length() {
    let cron = built_in("cron");
    for seconds in [15.0, 60.0, 90.0, 3600.0f64] {
        let curve = cron.curve(Duration::from_secs_f64(seconds));
        for (at, multiple) in [(9.9, 1.0), (10.1, 10.0), (11.9, 10.0), (12.1, 1.0)] {
            for minute in 0..60 {
                let second = f64::from(minute) * 60.0 + at;
                if second < seconds {
                    let found = curve.multiple_at(second / seconds);
                    assert_eq!(found, multiple, "second {second} of {seconds}");
                }
            }
        }
    }
    // Two spikes in a minute and a half.
    let mean = cron.curve(Duration::from_secs(90)).mean();
    assert!((mean - (90.0 + 2.0 * 18.0) / 90.0).abs() < 1e-12, "{mean}");
}

#[test]
fn a_refusal_names_the_value_the_limit_and_the_fix() {
    assert_eq!(
        Profile::find("blck-friday").unwrap_err().to_string(),
        "there is no profile `blck-friday`: use black-friday, black-friday-sink, \
         singles-day, flash-sale, prime-day, bfcm, retry-storm, thundering-herd, cron, sawtooth, \
         staircase, overload, poisson, steady, or the path of a TOML or CSV file"
    );
    let nothing = "profile x has no phase: add at least one [[phase]], or name a `trace`";
    assert_eq!((refusal("").as_str(), refusal("phase = []").as_str()), (nothing, nothing));
    assert_eq!(
        refusal("[[phase]]\nname = 'a'\nuntil = 1.4\nfrom = 1.0"),
        "phase `a` of profile x ends at 1.4: phases end at rising fractions of their \
         whole, so it must be above 0 and at most 1"
    );
    assert_eq!(
        refusal(
            "[[phase]]\nname = 'a'\nuntil = 0.5\nfrom = 1.0\n\
             [[phase]]\nname = 'b'\nuntil = 0.5\nfrom = 1.0"
        ),
        "phase `b` of profile x ends at 0.5: phases end at rising fractions of their \
         whole, so it must be above 0.5 and at most 1"
    );
    assert_eq!(
        refusal("[[phase]]\nname = 'a'\nuntil = 0.9\nfrom = 1.0"),
        "the last phase of the run in profile x, `a`, ends at 0.9: it must end at 1, the end of its \
         whole"
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

#[test]
fn a_phase_that_repeats_or_has_points_is_checked_like_the_others() {
    let inner = |part: &str| refusal(&format!("phase = [{{ name = 'a', until = 1.0, {part} }}]"));
    let either = "phase `a` must have either `from`";
    assert!(inner("repeat = 2").contains(either));
    assert!(inner("from = 1.0, points = [[0.0, 1.0], [1.0, 1.0]]").contains(either));
    assert!(inner("to = 1.0").contains(either));
    let nothing = "phase `a` of profile x repeats nothing: `repeat` must be at least 1";
    assert_eq!(inner("repeat = 0, part = [{ name = 'b', until = 1.0, from = 1.0 }]"), nothing);
    assert_eq!(
        inner("repeat = 2, part = []"),
        "phase `a` of profile x has no part: add at least one [[phase.part]]"
    );
    assert_eq!(
        inner("repeat = 2, part = [{ name = 'b', until = 0.5, from = 1.0 }]"),
        "the last phase of `a` in profile x, `b`, ends at 0.5: it must end at 1, the end of its \
         whole"
    );
    let part = "part = [{ name = 'b', until = 1.0, from = 1.0 }]";
    assert_eq!(
        inner(&format!(
            "repeat = 4000, part = [{{ name = 'c', until = 1.0, repeat = 4000, {part} }}]"
        )),
        "profile x has 16000000 pieces, each repetition counted, at most 100000 may be: lower \
         `repeat`, or thin out the trace"
    );
    let points = "the points of phase `a` of profile x must rise from 0 to 1, and ";
    assert_eq!(inner("points = [[0, 1], [0.9, 1]]"), format!("{points}0.9 comes after 0"));
    assert_eq!(
        inner("points = [[0, 1], [0.6, 1], [0.5, 1], [1, 1]]"),
        format!("{points}0.5 comes after 0.6")
    );
    assert!(inner("points = [[0, 1], [1, 1001]]").contains("has the rate 1001"));
    let head = |line: &str| refusal(&format!("{line}\n[[phase]]\nname = 'a'\nuntil = 1\nfrom = 1"));
    assert_eq!(head("hot-key = 1.2"), "`hot-key` of profile x is 1.2: it is a share, from 0 to 1");
    assert_eq!(
        head("period = '0s'"),
        "`period` of profile x is 0: give it some time, for example \"60s\""
    );
}

fn scratch(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("loadgen-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (file, text) in files {
        std::fs::write(folder.join(file), text).unwrap();
    }
    folder
}

#[test]
fn a_trace_is_a_profile_by_itself_or_in_one_that_names_it() {
    let head = "name = 'monday'\nabout = ''\nsource = ''\nhot-key = 0.1\ntrace = 'day.csv'\n";
    let both = format!("{head}[[phase]]\nname = 'a'\nuntil = 1\nfrom = 1");
    let files = [("day.csv", "0,100\n10,400\n40,0\n"), ("monday.toml", head), ("both.toml", &both)];
    let folder = scratch("trace", &files);
    let find = |name: &str| Profile::find(folder.join(name).to_str().unwrap());
    let (trace, named, both) = (find("day.csv"), find("monday.toml"), find("both.toml"));
    std::fs::remove_dir_all(&folder).unwrap();
    let (trace, named) = (trace.unwrap(), named.unwrap());
    assert_eq!((trace.name.as_str(), named.name.as_str()), ("day", "monday"));
    assert_eq!((&trace.phases, named.hot_key), (&named.phases, Some(0.1)));
    assert_eq!(trace.length, Some(Span(Duration::from_secs(40))));
    let curve = trace.curve(RUN);
    assert_eq!(
        [0.0, 0.125, 0.25, 0.625].map(|at| curve.multiple_at(at)),
        [100.0, 250.0, 400.0, 200.0]
    );
    assert_eq!(curve.mean(), (250.0 * 10.0 + 200.0 * 30.0) / 40.0);
    assert_eq!(
        both.unwrap_err().to_string().split_once("both.toml").unwrap().1,
        " has phases and the trace day.csv: keep one of them"
    );
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let piece =
        (0.0..20.0f64, 0.0..20.0f64, any::<bool>()).prop_map(|(from, to, is_exponential)| {
            let curve = if is_exponential { Curve::Exponential } else { Curve::Linear };
            let least = if is_exponential { 0.1 } else { 0.0 };
            Shape::Piece(Piece { from: from + least, to: to + least, curve })
        });
    let points = proptest::collection::vec((0.01..1.0f64, 0.0..20.0f64), 2..6).prop_map(|raw| {
        let total: f64 = raw[1..].iter().map(|(length, _)| length).sum();
        let mut at = -raw[0].0 / total;
        let mut points: Vec<(f64, f64)> = raw
            .into_iter()
            .map(|(length, multiple)| {
                at += length / total;
                (at.max(0.0), multiple)
            })
            .collect();
        points[0].0 = 0.0;
        points.last_mut().unwrap().0 = 1.0;
        Shape::Points(points)
    });
    let leaf = prop_oneof![3 => piece, 1 => points];
    leaf.prop_recursive(2, 12, 3, |shape| {
        let parts = any_phases(shape);
        (1..5u32, parts).prop_map(|(turns, parts)| Shape::Repeated { turns, parts })
    })
}

fn any_phases(shape: impl Strategy<Value = Shape>) -> impl Strategy<Value = Vec<Phase>> {
    proptest::collection::vec((0.01..1.0f64, shape), 1..5).prop_map(|raw| {
        let total: f64 = raw.iter().map(|(length, _)| length).sum();
        let mut until = 0.0;
        let mut phases: Vec<Phase> = raw
            .into_iter()
            .map(|(length, shape)| {
                until += length / total;
                Phase { name: String::new(), until, reconnect: false, shape }
            })
            .collect();
        phases.last_mut().unwrap().until = 1.0;
        phases
    })
}

/// A curve that may have a period, of which the run has up to some thousand.
fn any_curve() -> impl Strategy<Value = (RateCurve, f64)> {
    let period = prop_oneof![Just(None), (10..60_000u64).prop_map(Some)];
    (any_phases(any_shape()), period).prop_map(|(phases, period_ms)| {
        let peak = phase::peak(&phases);
        (RateCurve::new(&phases, period_ms.map(Duration::from_millis), RUN), peak)
    })
}

proptest! {
    #[test]
    fn the_integral_is_that_of_the_rate((curve, _) in any_curve(), end in 0.0..1.0f64) {
        const STEPS: u32 = 20_000;
        let step = end / f64::from(STEPS);
        let middles = (0..STEPS).map(|n| (f64::from(n) + 0.5) * step);
        let sum: f64 = middles.map(|at| curve.multiple_at(at) * step).sum();
        prop_assert!((sum - curve.integral_to(end)).abs() < 0.05, "{sum}");
    }

    #[test]
    fn the_inverse_of_the_integral_is_its_inverse((curve, _) in any_curve(), share in 0.0..1.0f64) {
        let offered = curve.mean() * share;
        let fraction = curve.fraction_where(offered);
        prop_assert!((0.0..=1.0).contains(&fraction));
        prop_assert!((curve.integral_to(fraction) - offered).abs() < 1e-9);
    }

    #[test]
    fn the_integral_and_its_inverse_rise(
        (curve, _) in any_curve(),
        mut shares in proptest::collection::vec(0.0..1.0f64, 2..50),
    ) {
        shares.sort_by(f64::total_cmp);
        for pair in shares.windows(2) {
            // But for rounding, where one piece or turn ends and the next begins.
            let [before, after] = [pair[0], pair[1]].map(|share| curve.integral_to(share));
            prop_assert!(before <= after + 1e-12);
            let [before, after] =
                [pair[0], pair[1]].map(|share| curve.fraction_where(share * curve.mean()));
            prop_assert!(before <= after + 1e-12);
        }
    }

    #[test]
    fn rate_and_mean_are_within_their_bounds((curve, peak) in any_curve(), at in 0.0..=1.0f64) {
        prop_assert_eq!(curve.peak(), peak);
        prop_assert!((0.0..=peak + 1e-12).contains(&curve.multiple_at(at)));
        prop_assert!((0.0..=peak + 1e-12).contains(&curve.mean()));
        prop_assert_eq!(curve.integral_to(0.0), 0.0);
        prop_assert_eq!(curve.integral_to(1.0), curve.mean());
        prop_assert!(curve.integral_to(at) <= curve.mean() + 1e-12);
    }

    #[test]
    fn what_is_repeated_is_the_same_as_if_it_were_written_out(
        parts in any_phases(any_shape()),
        turns in 1..9u32,
        at in 0.0..=1.0f64,
    ) {
        let shape = Shape::Repeated { turns, parts: parts.clone() };
        let repeated =
            [Phase { name: String::new(), until: 1.0, reconnect: false, shape }];
        let repeated = RateCurve::new(&repeated, None, RUN);
        let period = RateCurve::new(&parts, Some(RUN / turns), RUN);
        prop_assert!((repeated.integral_to(at) - period.integral_to(at)).abs() < 1e-6);
        prop_assert!((repeated.mean() - RateCurve::new(&parts, None, RUN).mean()).abs() < 1e-9);
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

#[test]
fn what_is_repeated_is_listed_once_and_what_a_profile_asks_for_is_named() {
    let text = "name = 'x'\nabout = 'a comb'\nsource = 'nowhere'\nhot-key = 0.25\n\
                arrivals = 'poisson'\nperiod = '5s'\nphase = [\
                { name = 'comb', until = 0.8, repeat = 30, part = [\
                { name = 'tooth', until = 0.25, from = 2.0 },\
                { name = 'gap', until = 1.0, from = 0.0 } ] },\
                { name = 'trace', until = 1.0, reconnect = true, points = [[0, 1], [0.5, 3], [1, 1]] } ]";
    let picture = Profile::parse("x", text).unwrap().explain(1000.0, Duration::from_secs(10));
    let list = picture.split_once("10.0 s\n\n").unwrap().1;
    expect![[r#"
        every 5s, whatever the length of the run:
          comb           0 s to    4.00 s  x30, 0.133 s each:
            tooth        0 s to   0.033 s    2.00 k/s →   2.00 k/s
            gap      0.033 s to   0.133 s         0/s →        0/s
          trace       4.00 s to    5.00 s  3 points from 1.00 k/s to 3.00 k/s, all connections anew

        peak 3.00 k/s, mean 800/s, 8.00 k records in all
        hot key: 25.0 % of the records
        arrivals: a Poisson process
        source: nowhere
    "#]]
    .assert_eq(list);
}
