//! The simulator: random programs of calls, holds, transfers of every kind and hang-ups, over a network that loses,
//! repeats and reorders, beside a model that knows who must be talking with whom.
//!
//! After each step the edge, its phones and the model agree: who talks with whom, by which media address, who holds whom.
//! After a step with a race (somebody hangs up, or the transfer is taken back, at any millisecond of it) nobody talks
//! with a stranger, and the model learns what came of it. At the end of a program every transfer has had exactly one
//! terminal event and nothing is left.
//!
//! ```text
//! WARMLINE_SEED=17 cargo test --test simulator            # one program again
//! WARMLINE_PROGRAMS=5000 cargo test --test simulator      # a night of them
//! ```

mod world;

use warmline::engine::{Command, TransferMode};
use warmline::phone::{CallState, PhoneCall};
use world::{EVERYBODY, Fate, Who, World, millis};

/// Dice that fall the same way for the same seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.throw(from.len() as u64) as usize]
    }
}

/// One end of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    who: Who,
    call: PhoneCall,
    holding: bool,
}

fn end(who: Who, call: PhoneCall) -> End {
    End {
        who,
        call,
        holding: false,
    }
}

/// Who must be talking with whom.
#[derive(Debug, Default)]
struct Model {
    talks: Vec<[End; 2]>,
}

impl Model {
    fn calls_of(&self, who: Who) -> usize {
        self.talks.iter().flatten().filter(|end| end.who == who).count()
    }

    /// Every end with the place of its conversation.
    fn ends(&self) -> Vec<(usize, usize)> {
        (0..self.talks.len()).flat_map(|talk| [(talk, 0), (talk, 1)]).collect()
    }
}

/// One program.
struct Run {
    world: World,
    model: Model,
    dice: Dice,
    mode: TransferMode,
}

/// Who could be moved where: the transferor's end, its other side, and the target.
struct Plan {
    talk: usize,
    transferor: End,
    transferee: End,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut dice = Dice(seed);
        let native = TransferMode::Native;
        let mode = dice.pick(&[
            native,
            native,
            native,
            TransferMode::Auto,
            TransferMode::Refer,
            TransferMode::Pass,
        ]);
        let mut world = World::with(|settings| {
            settings.transfer = mode;
            settings.transfer_depth = u8::MAX;
        });
        if dice.throw(3) > 0 {
            let mut network = Dice(!seed);
            let reorders = mode == native;
            world.network(move |_| match network.throw(60) {
                0 | 1 => Fate::Lose,
                2 | 3 => Fate::Twice,
                // The phones report 180 twice at once; out of order one of them is 500, and they report no more.
                4..7 if reorders => Fate::Delay(millis(1 + network.throw(30))),
                _ => Fate::Deliver,
            });
            // What is lost or overtaken is nobody's fault.
            world.tolerate("");
        }
        Run {
            world,
            model: Model::default(),
            dice,
            mode,
        }
    }

    /// Waits until a phone rings, as long as lost messages may take.
    fn rings(&mut self, who: Who) -> bool {
        for _ in 0..80 {
            self.world.advance(millis(100));
            let phone = self.world.phone(who);
            if phone
                .live()
                .iter()
                .any(|call| phone.state(*call) == Some(CallState::Ringing))
            {
                return true;
            }
        }
        false
    }

    fn step(&mut self) {
        match self.dice.throw(12) {
            0..3 => self.call(),
            3 | 4 => self.hold_or_resume(),
            5 => self.hang_up(),
            6 | 7 => self.blind(),
            8 | 9 => self.attended(),
            10 => self.take_over(),
            _ => self.race(),
        }
    }

    fn call(&mut self) {
        let (caller, callee) = (self.dice.pick(&EVERYBODY), self.dice.pick(&EVERYBODY));
        if caller == callee || self.model.calls_of(caller) > 2 || self.model.calls_of(callee) > 2 {
            return;
        }
        let calling = self.world.seat(caller).call(callee);
        assert!(self.rings(callee), "{} rings", callee.user());
        if self.dice.throw(5) == 0 {
            self.world.seat(callee).reject(486);
        } else {
            let answered = self.world.seat(callee).pick_up();
            self.model.talks.push([end(caller, calling), end(callee, answered)]);
        }
        self.world.run();
    }

    fn any_end(&mut self) -> Option<(usize, usize)> {
        let ends = self.model.ends();
        (!ends.is_empty()).then(|| self.dice.pick(&ends))
    }

    fn hold_or_resume(&mut self) {
        let Some((talk, side)) = self.any_end() else { return };
        let this = &mut self.model.talks[talk][side];
        this.holding = !this.holding;
        let End { who, call, holding } = *this;
        match holding {
            true => self.world.seat(who).hold(call),
            false => self.world.seat(who).resume(call),
        }
        self.world.run();
    }

    fn hang_up(&mut self) {
        let Some((talk, side)) = self.any_end() else { return };
        let gone = self.model.talks.swap_remove(talk)[side];
        self.world.seat(gone.who).bye(gone.call);
        self.world.run();
    }

    fn plan(&mut self) -> Option<Plan> {
        let (talk, side) = self.any_end()?;
        let [transferor, transferee] = [self.model.talks[talk][side], self.model.talks[talk][1 - side]];
        Some(Plan {
            talk,
            transferor,
            transferee,
        })
    }

    /// Whether the phones do it: then the transferee has a call that it made by itself.
    fn by_refer(&self, attended: bool) -> bool {
        match self.mode {
            TransferMode::Native => false,
            TransferMode::Refer | TransferMode::Pass => true,
            // For an attended transfer the phones would have to be at the same place.
            TransferMode::Auto => !attended,
        }
    }

    fn target_for(&mut self, plan: &Plan) -> Option<Who> {
        let target = self.dice.pick(&EVERYBODY);
        let busy = self.model.calls_of(target) > 2;
        (target != plan.transferor.who && target != plan.transferee.who && !busy).then_some(target)
    }

    fn blind(&mut self) {
        let Some(plan) = self.plan() else { return };
        let Some(target) = self.target_for(&plan) else { return };
        self.world.seat(plan.transferor.who).refer(plan.transferor.call, target);
        assert!(self.rings(target), "{} rings", target.user());
        if self.dice.throw(4) == 0 {
            let status = self.dice.pick(&[486, 603, 480]);
            self.world.seat(target).reject(status);
        } else {
            let answered = self.world.seat(target).pick_up();
            self.world.run();
            let transferee = self.moved(plan.transferee, false);
            self.model.talks[plan.talk] = [transferee, end(target, answered)];
        }
        self.world.run();
    }

    /// The transferee after its transfer: with a call of its own making, or with the old one and its own hold.
    fn moved(&self, transferee: End, attended: bool) -> End {
        match self.by_refer(attended) {
            true => end(
                transferee.who,
                self.world.phone(transferee.who).latest().expect("its call"),
            ),
            false => transferee,
        }
    }

    fn consult_for(&mut self, plan: &Plan) -> Option<(usize, End, End)> {
        let ends = self.model.ends();
        let fits = |(talk, side): &(usize, usize)| {
            let (mine, party) = (self.model.talks[*talk][*side], self.model.talks[*talk][1 - *side]);
            // A phone that joined two of its own calls would talk with itself; a target that holds is asked natively.
            *talk != plan.talk
                && mine.who == plan.transferor.who
                && party.who != plan.transferee.who
                && !(self.by_refer(true) && (party.holding || mine.holding))
        };
        let fitting: Vec<_> = ends.into_iter().filter(fits).collect();
        let (talk, side) = (!fitting.is_empty()).then(|| self.dice.pick(&fitting))?;
        Some((talk, self.model.talks[talk][side], self.model.talks[talk][1 - side]))
    }

    fn attended(&mut self) {
        let Some(plan) = self.plan() else { return };
        let Some((consult, mine, party)) = self.consult_for(&plan) else {
            return;
        };
        let who = plan.transferor.who;
        self.world.seat(who).refer_attended(plan.transferor.call, mine.call);
        self.world.run();
        let transferee = self.moved(plan.transferee, true);
        self.model.talks[plan.talk] = [transferee, party];
        self.model.talks.swap_remove(consult);
    }

    /// A phone takes its own place with another dialog; a stranger who tries is refused.
    fn take_over(&mut self) {
        let Some(plan) = self.plan() else { return };
        let replaced = plan.transferor;
        let Some(replaces) = self.world.phone(replaced.who).replaces(replaced.call) else {
            return;
        };
        let anybody = self.dice.pick(&EVERYBODY);
        let newcomer = self.dice.pick(&[replaced.who, replaced.who, anybody]);
        let uri = plan.transferee.who.uri();
        let call = self.world.seat(newcomer).invite_with_replaces(&uri, &replaces);
        self.world.run();
        if newcomer == replaced.who {
            self.model.talks[plan.talk] = [end(newcomer, call), plan.transferee];
        }
    }

    /// A transfer in which something else happens at any millisecond: only the outcome's honesty is predicted.
    fn race(&mut self) {
        let Some(plan) = self.plan() else { return };
        let before: Vec<[Who; 2]> = self.model.talks.iter().map(|[a, b]| [a.who, b.who]).collect();
        let (transferor, transferee) = (plan.transferor, plan.transferee);
        let mut parties = vec![transferor, transferee];
        let mut may_meet = before;
        if let Some((_, mine, party)) = self.consult_for(&plan) {
            self.world
                .seat(transferor.who)
                .refer_attended(transferor.call, mine.call);
            parties.extend([mine, party]);
            may_meet.push([transferee.who, party.who]);
        } else if let Some(target) = self.target_for(&plan) {
            self.world.seat(target).answers_after(millis(self.dice.throw(20)));
            self.world.seat(transferor.who).refer(transferor.call, target);
            may_meet.push([transferee.who, target]);
        } else {
            return;
        }
        self.world.advance(millis(self.dice.throw(30)));
        if self.dice.throw(4) == 0 {
            if let Some(transfer) = self.world.transfers().last().map(|transfer| transfer.id) {
                self.world.command(Command::CancelTransfer { transfer });
            }
        } else {
            let leaves = self.dice.pick(&parties);
            if self.world.phone(leaves.who).state(leaves.call) == Some(CallState::Connected) {
                self.world.seat(leaves.who).bye(leaves.call);
            }
        }
        // Longer than the outcome of a REFER is awaited.
        self.world.advance(millis(70_000));
        self.world.run();
        for who in EVERYBODY {
            self.world.seat(who).script().auto_answer = None;
        }
        self.learn(&may_meet);
    }

    /// Takes over what the edge says, if nobody met a stranger.
    fn learn(&mut self, may_meet: &[[Who; 2]]) {
        let mut talks = Vec::new();
        for call in self.world.calls() {
            let find = |call_id: &str| {
                EVERYBODY.into_iter().find_map(|who| {
                    let phone = self.world.phone(who);
                    let call = phone
                        .live()
                        .into_iter()
                        .find(|call| phone.call_id(*call) == Some(call_id))?;
                    let holding = phone.is_holding(call);
                    Some(End { who, call, holding })
                })
            };
            let ends: Vec<_> = call.legs.iter().filter_map(|leg| find(&leg.call_id)).collect();
            let [a, b] = ends.as_slice() else {
                panic!("a call of two has two phones: {call:?}")
            };
            let known = may_meet.contains(&[a.who, b.who]) || may_meet.contains(&[b.who, a.who]);
            assert!(known, "{} talks with a stranger: {}", a.who.user(), b.who.user());
            talks.push([*a, *b]);
        }
        self.model.talks = talks;
    }

    /// The model, the phones and the edge agree.
    fn check(&mut self) {
        for who in EVERYBODY {
            let mut expected: Vec<_> = self.model.talks.iter().flatten().filter(|end| end.who == who).collect();
            expected.sort_by_key(|end| end.call);
            let phone = self.world.phone(who);
            let mut live = phone.live();
            live.sort();
            let calls: Vec<_> = expected.iter().map(|end| end.call).collect();
            assert_eq!(live, calls, "calls of {}", who.user());
            for end in expected {
                assert_eq!(phone.state(end.call), Some(CallState::Connected), "{}", who.user());
                assert_eq!(phone.is_holding(end.call), end.holding, "{} holds", who.user());
            }
        }
        let running = self.world.totals();
        assert_eq!((running.transfers, running.calls), (0, self.model.talks.len()));
        assert_eq!(running.dialogs, 2 * self.model.talks.len(), "legs");
        let legs: Vec<Vec<String>> = self
            .world
            .calls()
            .into_iter()
            .map(|call| call.legs.into_iter().map(|leg| leg.call_id).collect())
            .collect();
        for [a, b] in &self.model.talks {
            let id = |end: &End| {
                self.world
                    .phone(end.who)
                    .call_id(end.call)
                    .unwrap_or_default()
                    .to_owned()
            };
            let together = legs.iter().any(|legs| legs.contains(&id(a)) && legs.contains(&id(b)));
            assert!(
                together,
                "{} and {} are the two legs of one call",
                a.who.user(),
                b.who.user()
            );
        }
        self.world.assert_paired();
    }
}

fn program(seed: u64) {
    eprintln!("seed {seed}");
    let mut run = Run::new(seed);
    for _ in 0..14 {
        run.step();
        run.world.advance(millis(33_000));
        run.check();
    }
    run.world.heal();
    run.world.everybody_leaves(&EVERYBODY);
    run.world.assert_nothing_left();
}

#[test]
fn whatever_people_do_the_edge_does_what_the_model_says() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("WARMLINE_SEED") {
        Some(seed) => program(seed),
        None => (0..number("WARMLINE_PROGRAMS").unwrap_or(150)).for_each(program),
    }
}
