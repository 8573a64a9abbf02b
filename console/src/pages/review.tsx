/** The review of a rebalance: propose its orders, approve, hold, override rules, send. */

import { useLayoutEffect, useState } from "preact/hooks";
import { Link, useLocation, useSearch } from "wouter-preact";
import { read, ServiceError } from "../api.ts";
import { type Question, useQuestion } from "../confirm.tsx";
import { count } from "../format.ts";
import { onKey } from "../keys.ts";
import { readFilters, withFilters } from "../lists/filters.ts";
import {
  type Fact,
  Facts,
  Id,
  Loaded,
  Page,
  Problem,
  ScopedButton,
  Status,
  Time,
} from "../parts.tsx";
import { useAction, useResource } from "../resource.ts";
import { AllTrades } from "../review/all_trades.tsx";
import { Broken, type BrokenRules, brokenRulesOf } from "../review/broken.tsx";
import { TradingPortfolios } from "../review/portfolios.tsx";
import {
  type Decision,
  decide,
  Holds,
  type Proposal,
  proposing,
  readHolds,
  readProposal,
  withdraw,
} from "../review/proposals.ts";
import { describeTrades, questionToSend } from "../review/sending.ts";
import { Trades } from "../review/trades.tsx";
import { may } from "../session.ts";

interface State {
  proposal: Proposal | undefined;
  holds: Holds;
}

async function readState(id: string, signal: AbortSignal): Promise<State> {
  const proposal = await readProposal(id, signal);
  return { proposal, holds: proposal ? await readHolds(proposal, signal) : new Holds() };
}

const isOpen = (proposal: Proposal | undefined): proposal is Proposal =>
  proposal?.status === "PROPOSED" || proposal?.status === "APPROVED";

export function ReviewPage({ id }: { id: string }) {
  const path = `/review/${id}`;
  const search = useSearch();
  const rebalance = useResource(`rebalance ${id}`, (signal) =>
    read("/api/v1/rebalance/{rebalance_id}/summary", { path: { rebalance_id: id }, signal }),
  );
  const state = useResource(`review ${id}`, (signal) => readState(id, signal));
  const [dialog, setQuestion] = useQuestion(() => state.reload());
  const { error, run } = useAction();
  const [broken, setBroken] = useState<BrokenRules>();
  const { proposal, holds = new Holds() } = state.value ?? {};
  const { portfolio, rows } = readFilters(search, ["portfolio", "rows"]);
  const [, navigate] = useLocation();
  const isByTrade = rows === "trades";
  // Without the order, because the other rows have other columns.
  const otherRows = withFilters(path, search, { rows: isByTrade ? "" : "trades", sort_by: "" });
  const turn = () => navigate(otherRows, { replace: true });
  useLayoutEffect(() => onKey("t", turn));
  const name = rebalance.value?.model_name;
  const hrefOf = (each: string) => withFilters(path, search, { portfolio: each });
  /** A question may need figures first, which the service may not have. */
  const ask = (next: Question | Promise<Question>) => run(async () => setQuestion(await next));
  const make = (given: Decision) => async (note: string) => {
    if (!proposal) return;
    try {
      await decide(proposal, { ...given, ...(note && { note }) });
      setBroken(undefined);
    } catch (reason) {
      if (reason instanceof ServiceError) setBroken(brokenRulesOf(reason) ?? broken);
      state.reload(); // the refusal may have made the proposal stale
      throw reason;
    }
  };
  const hold = (words: string, parts: Omit<Decision, "decision">) =>
    setQuestion({
      title: `Hold ${words}?`,
      text: "What is held is not sent. Its orders stay PENDING with your name and the note.",
      note: { label: "Note", isRequired: false },
      verb: "Hold",
      act: make({ decision: "HOLD", ...parts }),
    });
  const release = (words: string, parts: Omit<Decision, "decision">) =>
    setQuestion({
      title: `Release ${words}?`,
      text: "It would be sent after all. The approvals so far were given without it: they are taken back.",
      verb: "Release",
      act: make({ decision: "RELEASE", ...parts }),
    });
  const portfolios = (ids: readonly string[]) =>
    ids.length === 1 ? "this portfolio" : `${count(ids.length)} portfolios`;
  return (
    <Page
      title={name ? `Review of ${name}` : "Review"}
      meta={
        <>
          <Id value={id} />
          {proposal && <Status value={proposal.status} />}
        </>
      }
      actions={
        <>
          <Actions id={id} state={state.value} ask={ask} make={make} />
          <button type="button" onClick={turn}>
            {isByTrade ? "A row a portfolio" : "A row a trade"}
          </button>
          <Link class="button" href={`/rebalance/${id}`}>
            Outcomes
          </Link>
          <Link class="button" href={`/rebalance/${id}/orders`}>
            Orders
          </Link>
        </>
      }
    >
      <Loaded of={state} lines={3}>
        {(given) => <Standing proposal={given.proposal} modelId={rebalance.value?.model_id} />}
      </Loaded>
      {error && <Problem error={error} />}
      {broken && isOpen(proposal) && (
        <Broken
          broken={broken}
          hrefOf={hrefOf}
          onHold={(ids) => hold(portfolios(ids), { portfolios: ids })}
        />
      )}
      {portfolio && (
        <Trades
          rebalanceId={id}
          portfolioId={portfolio}
          holds={holds}
          isOpen={isOpen(proposal)}
          onHold={(trade, words) => hold(words, { transactions: [trade] })}
          onRelease={(trade, words) => release(words, { transactions: [trade] })}
          onClose={() => navigate(hrefOf(""), { replace: true })}
        />
      )}
      {isByTrade ? (
        <AllTrades
          rebalanceId={id}
          version={proposal?.version}
          isOpen={isOpen(proposal)}
          hrefOf={hrefOf}
          onHold={(transactions, words) => hold(words, { transactions })}
          onRelease={(transactions, words) => release(words, { transactions })}
        />
      ) : (
        <TradingPortfolios
          rebalanceId={id}
          holds={holds}
          isOpen={isOpen(proposal)}
          hrefOf={hrefOf}
          onHold={(ids) => hold(portfolios(ids), { portfolios: ids })}
          onRelease={(ids) => release(portfolios(ids), { portfolios: ids })}
        />
      )}
      {dialog}
    </Page>
  );
}

interface ActionProps {
  id: string;
  ask: (question: Question | Promise<Question>) => void;
  make: (decision: Decision) => (note: string) => Promise<void>;
}

/** What the state of the proposal admits; the service has the last word on who may. */
function Actions(props: ActionProps & { state: State | undefined }) {
  const { id, state, ask } = props;
  if (!state) return null;
  const { proposal } = state;
  if (!proposal || ENDED.has(proposal.status)) {
    const propose = () =>
      ask({
        title: "Propose these orders?",
        text: "Others review them, and whoever proposes cannot approve. No order is sent.",
        note: { label: "Note for those who approve", isRequired: false },
        verb: "Propose",
        act: proposing(id),
      });
    return (
      <ScopedButton scope="rebalances:start" class="main" onClick={propose}>
        {proposal ? "Propose again" : "Propose"}
      </ScopedButton>
    );
  }
  const takeBack = () =>
    ask({
      title: "Withdraw the proposal?",
      text: "It ends without orders; its proposer alone may. The rebalance may be proposed again.",
      note: { label: "Note", isRequired: false },
      verb: "Withdraw",
      act: (note) => withdraw(proposal, note),
    });
  return (
    <>
      {proposal.status === "PROPOSED" && <Decisions {...props} />}
      {isOpen(proposal) && (
        <ScopedButton scope="rebalances:start" onClick={takeBack}>
          Withdraw
        </ScopedButton>
      )}
      {proposal.status !== "PROPOSED" && (
        <ScopedButton scope="orders:send" class="danger" onClick={() => ask(questionToSend(id))}>
          Send orders
        </ScopedButton>
      )}
    </>
  );
}

const ENDED = new Set(["REJECTED", "WITHDRAWN", "STALE"]);

const REASONED = {
  REJECT: {
    title: "Reject the proposal?",
    text: "It ends without orders. The rebalance may be proposed again.",
    verb: "Reject",
  },
  OVERRIDE: {
    title: "Override the rules?",
    text: "Plans that break rules may then be approved, by somebody else than you.",
    verb: "Override rules",
  },
} as const;

function Decisions({ id, ask, make }: ActionProps) {
  const questionToApprove = async () => ({
    title: "Approve these orders?",
    text: `${await describeTrades(id)} would be sent.`,
    note: { label: "Note", isRequired: false },
    verb: "Approve",
    act: make({ decision: "APPROVE" }),
  });
  const approve = () => ask(questionToApprove());
  useLayoutEffect(() => (may("approvals:decide") ? onKey("a", approve) : undefined));
  const reasoned = (decision: keyof typeof REASONED) => (
    <ScopedButton
      scope="approvals:decide"
      onClick={() =>
        ask({
          ...REASONED[decision],
          note: { label: "Reason", isRequired: true },
          act: make({ decision }),
        })
      }
    >
      {REASONED[decision].verb}
    </ScopedButton>
  );
  return (
    <>
      <ScopedButton scope="approvals:decide" class="main" onClick={approve}>
        Approve
      </ScopedButton>
      {reasoned("REJECT")}
      {reasoned("OVERRIDE")}
    </>
  );
}

const NEXT: Record<Proposal["status"], string> = {
  PROPOSED: "It waits for approval, by others than who proposed it or began its rebalance.",
  APPROVED: "Its orders may be sent.",
  ORDERED: "Its orders are being sent, or were. Sending again sends the rest, none twice.",
  REJECTED: "It ended without orders.",
  WITHDRAWN: "It ended without orders.",
  STALE:
    "Its trades were made for another world. Rebalance again and propose that; if the proposal was only too old, propose again.",
};

function Standing(props: { proposal: Proposal | undefined; modelId: string | undefined }) {
  const { proposal } = props;
  if (!proposal) return <p>Nobody has proposed to send the orders of this rebalance.</p>;
  const { ending, override } = proposal;
  return (
    <>
      <p role="status">
        {ending && (
          <>
            <b>{proposal.status}</b>
            {ending.principal && ` by ${ending.principal}`}, <Time value={ending.at} />:{" "}
            {ending.reason}.{" "}
          </>
        )}
        {NEXT[proposal.status]}{" "}
        {proposal.status === "STALE" && props.modelId && (
          <Link href={`/model/${props.modelId}`}>to the model</Link>
        )}
      </p>
      <Facts facts={facts(proposal)} />
      {override && (
        <p>
          Rules overridden by {override.principal}, <Time value={override.at} />: {override.reason}
        </p>
      )}
    </>
  );
}

function facts(proposal: Proposal): Fact[] {
  const { approvals, required_approvals: required } = proposal;
  const names = approvals.map(({ principal, note }) =>
    note ? `${principal} (${note})` : principal,
  );
  return [
    {
      term: "proposed by",
      value: proposal.proposed_by,
      note: <Time value={proposal.proposed_at} />,
    },
    { term: "rebalance begun by", value: proposal.begun_by ?? "–" },
    {
      term: "approvals",
      value: `${approvals.length} of ${required}`,
      note: names.join(", ") || undefined,
    },
    { term: "held", value: count(proposal.number_of_holds) },
    { term: "portfolios", value: count(proposal.number_of_portfolios) },
    ...(proposal.note ? [{ term: "note", value: proposal.note }] : []),
  ];
}
