//! The wait for an engine, and how it goes on in a new image of the shim.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use lattice::model::failure::Result;
use lattice::model::mask::Mask;
use lattice::model::outcome::{Facts, Reason};
use lattice::process::gauge::Gauge;
use lattice::process::monotonic::Moment;
use lattice::process::pump::LogPump;
use lattice::process::reap::Usage;
use lattice::runs::end::sequence::Ending;
use lattice::runs::pool::{Checkout, Noted};
use serde::{Deserialize, Serialize};

use crate::loops::{Loop, Rest};
use crate::renew::{self, Renewed};
use crate::seat::{self, Seat};
use crate::shim::Shim;
use crate::shim::is_of_kill;
use crate::supervise::{Finished, Vigil};

/// What one image tells the next.
#[derive(Serialize, Deserialize)]
struct Waiting {
    vigil: Vigil,
    begin: Moment,
    gauge: Option<Gauge>,
    dirty: Option<bool>,
    /// For a slot.
    waited: Option<Duration>,
    checkout: Option<Noted>,
    log_limit: u64,
    rest: Rest,
}

/// The rest of a run whose engine is running.
#[inline(never)]
pub(crate) fn go_on(directory: &Path) -> Result<()> {
    let mut renewed = renew::take::<Waiting>()?;
    let seat = seat::retake(directory, &mut renewed)?;
    let vigil = renewed.state.vigil;
    let ended = Shim::renewed(&seat, renewed)?.do_and_end(|shim| {
        let facts = shim.see_out(&vigil);
        shim.with_circumstances(facts)
    });
    if let (_, Ending::Whole(leftover)) = ended? {
        seat.free(leftover);
    }
    Ok(())
}

impl<'a> Shim<'a> {
    /// Not inlined: what it needs of the stack, the wait uses again.
    #[inline(never)]
    fn renewed(seat: &'a Seat, mut renewed: Renewed<Waiting>) -> Result<Self> {
        let mask: Mask = renewed.kept()?;
        let (peer, pipe) = (renewed.next()?, renewed.next()?);
        let (log, output) = (File::from(renewed.next()?), renewed.next()?);
        let noted = renewed.state.checkout.take();
        let checkout =
            noted.map(|noted| renewed.next().map(|index| Checkout::of(noted, index.into())));
        let Waiting { vigil, begin, gauge, dirty, waited, log_limit, rest, .. } = renewed.state;
        let log = LogPump::resume(pipe, log, log_limit)?.behind(mask.veil());
        Ok(Self {
            seat,
            turns: Loop::renewed(seat.id.clone(), rest, peer, Some(log))?,
            output,
            mask,
            begin,
            checkout: checkout.transpose()?,
            dirty,
            engine: Some(vigil.leader),
            unbound: false,
            gauge,
            renew_at: None,
            told: None,
            waited,
        })
    }
}

impl Shim<'_> {
    /// The wait for the engine, and what is to be said of its end.
    pub(crate) fn see_out(&mut self, vigil: &Vigil) -> Facts {
        let Finished { exit, ended, swept } = self.supervise(vigil);
        let mut facts = match ended {
            None => match self.met(exit) {
                Some(reason) => self.limited(reason),
                None if is_of_kill(exit) && vigil.toll.has_grown() => Facts::new(Reason::OomKilled),
                None => Facts::new(exit.reason()),
            },
            Some(Reason::Stopped) => self.stopped(),
            Some(Reason::Exited) => Facts { lingered: true, ..Facts::new(Reason::Exited) },
            Some(reason) => self.limited(reason),
        };
        facts.exit = exit;
        facts.told = self.told.take().or_else(|| self.turns.told()).map(Box::new);
        swept.note_in(&mut facts);
        if let (Some(before), Ok(after)) = (vigil.before, self.turns.usage()) {
            facts.cpu_seconds = Some(after.cpu_seconds - before.cpu_seconds);
            facts.max_rss_kb = peak(before, after);
        }
        facts
    }

    /// Once, and not while there is something to be done.
    pub(crate) fn renew_when_due(&mut self, vigil: &Vigil) {
        if self.renew_at.is_none_or(|due| Instant::now() < due) {
            return;
        }
        // Where it cannot be now, it will be when the run has lasted twice as long.
        self.renew_at = Some(Instant::now() + self.begin.elapsed());
        if self.turns.come_to_rest().unwrap_or(false) {
            self.renew_at = None;
            drop(self.renew(vigil));
            drop(Loop::go_on());
        }
    }

    fn renew(&self, vigil: &Vigil) -> io::Error {
        let (peer, pump) = (self.turns.peer.as_ref(), self.turns.log.as_ref());
        let Some((peer, pump, log)) =
            peer.zip(pump).and_then(|(peer, pump)| Some((peer, pump, pump.at_rest()?)))
        else {
            return io::ErrorKind::NotConnected.into();
        };
        let waiting = Waiting {
            vigil: *vigil,
            begin: self.begin,
            gauge: self.gauge.clone(),
            dirty: self.dirty,
            waited: self.waited,
            checkout: self.checkout.as_ref().map(|checkout| checkout.noted().clone()),
            log_limit: self.seat.spec.log_limit,
            rest: self.turns.rest(),
        };
        let mut descriptors = vec![peer.as_fd(), pump.as_fd(), log.as_fd(), self.output.as_fd()];
        descriptors.extend(self.checkout.as_ref().map(AsFd::as_fd));
        renew::renew("shim", self.seat, &self.mask, &waiting, &descriptors)
    }
}

/// The kernel keeps one maximum for all children that were ever reaped: it is the engine's only if it grew.
fn peak(before: Usage, after: Usage) -> Option<u64> {
    (after.max_rss_kb > before.max_rss_kb).then_some(after.max_rss_kb)
}
