use expect_test::expect;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::live::ROWS;
use crate::measure::Tally;

fn glance() -> Glance {
    let second = |offered| Tally {
        offered,
        written: offered,
        acknowledged: offered - 10,
        consumed: offered - 30,
        ..Tally::default()
    };
    let seconds = vec![second(1000), second(1000), second(8000), second(4000)];
    let mut heat = vec![[0; ROWS]; 3];
    heat[0][6] = 1000;
    heat[1][6] = 900;
    heat[1][7] = 100;
    heat[2][12] = 5000;
    heat[2][17] = 3000;
    Glance {
        elapsed: Duration::from_millis(4000),
        total: seconds.iter().fold(Tally::default(), |sum, it| sum.plus(*it)),
        rates: second(4000),
        response: Some([1_200_000, 25_000_000, 31_000_000]),
        seconds,
        heat,
        heat_from: 0,
        is_over: false,
    }
}

#[test]
fn a_moment_in_a_line() {
    expect!["   4 s  intended  4.00 k/s  sent  4.00 k/s  acknowledged  3.99 k/s  consumed  3.97 k/s  unsent       0  backlog      80  p50 1.20 ms  p99 25.0 ms  p99.9 31.0 ms"]
        .assert_eq(&line(&glance()));
}

#[test]
fn a_moment_as_a_picture() {
    let caption = Caption { title: "spike".to_owned(), duration: Duration::from_secs(6) };
    let mut terminal = Terminal::new(TestBackend::new(90, picture::HEIGHT)).unwrap();
    terminal.draw(|frame| picture::draw(frame, &glance(), &caption)).unwrap();
    expect![[r#"
        "spike                                                                           4 s of 6 s"
        "intended        4.00 k/s    14.0 k    p50       1.20 ms   unsent         0                "
        "sent            4.00 k/s    14.0 k    p99       25.0 ms   backlog       80                "
        "acknowledged    3.99 k/s    14.0 k    p99.9     31.0 ms   failed         0                "
        "consumed        3.97 k/s    13.9 k    response, of the last second that is answered       "
        "                                                                                          "
        "8.00 k/s                            █████████████                                         "
        "                                    █████████████▄▄▄▄▄▄▄▄▄▄▄▄▄                            "
        "          ▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃██████████████████████████                            "
        "                                                                                          "
        "                                                                                          "
        "1.00 s                                                                                    "
        "                                                                                          "
        "                                                                                          "
        "100 ms                                                                                    "
        "                                    ▀▀▀▀▀▀▀▀▀▀▀▀▀                                         "
        "                                                                                          "
        "10.0 ms                             ▄▄▄▄▄▄▄▄▄▄▄▄▄                                         "
        "                                                                                          "
        "                                                                                          "
        "1.00 ms   ▄▄▄▄▄▄▄▄▄▄▄▄▄▀▀▀▀▀▀▀▀▀▀▀▀▀                                                      "
        "                                                                                          "
        "                                                                                          "
        "100 µs                                                                                    "
    "#]]
    .assert_eq(&terminal.backend().to_string());
}

#[test]
fn a_small_terminal_and_a_run_that_has_not_begun_are_drawn_too() {
    let caption = Caption { title: "spike".to_owned(), duration: Duration::ZERO };
    for (width, height) in [(1, 1), (11, 5), (200, 60)] {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        for glance in [glance(), Live::new().glance()] {
            terminal.draw(|frame| picture::draw(frame, &glance, &caption)).unwrap();
        }
    }
}
