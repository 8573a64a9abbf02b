/** Tickers of securities and names of portfolios, looked up once for each id. */

import { address, read } from "./api.ts";
import { Lookup, useLookup } from "./lookup.ts";

const MAX_IDS = 100; // of one request

const several = (path: string, ids: string[]) =>
  `${address(path)}?${ids.map((id) => `ids=${encodeURIComponent(id)}`).join("&")}`;

const tickers = new Lookup<string>(MAX_IDS, async (ids) =>
  (await read(several("/api/v1/securities", ids) as "/api/v1/securities")).map((each) => [
    each.security_id,
    each.ticker,
  ]),
);
const portfolios = new Lookup<string>(MAX_IDS, async (ids) =>
  (await read(several("/api/v1/portfolios", ids) as "/api/v1/portfolios")).map((each) => [
    each.portfolio_id,
    each.name,
  ]),
);

function useNames(names: Lookup<string>, ids: readonly string[]) {
  const nameOf = useLookup(names, ids);
  return (id: string): string | undefined => nameOf(id) ?? undefined;
}

export const useTickers = (ids: readonly string[]) => useNames(tickers, ids);
export const usePortfolioNames = (ids: readonly string[]) => useNames(portfolios, ids);
