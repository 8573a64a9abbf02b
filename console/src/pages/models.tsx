/** All models: what they hold, and who follows them. */

import { useState } from "preact/hooks";
import { Link, useLocation, useSearch } from "wouter-preact";
import { list, type Schema } from "../api.ts";
import { count } from "../format.ts";
import { readFilters, withFilters } from "../lists/filters.ts";
import { type Column, Grid } from "../lists/grid.tsx";
import { Pager } from "../lists/pager.tsx";
import { useEditKey } from "../models/edit_key.ts";
import { sumOf, toPercent } from "../models/rules.ts";
import { Empty, Id, Loaded, Page, Time } from "../parts.tsx";
import { useResource } from "../resource.ts";

type Model = Schema<"ModelAnswer">;
const ROWS = 50;
const href = (model: Model) => `/model/${model.model_id}`;

const COLUMNS: Column<Model>[] = [
  {
    key: "name",
    head: "Model",
    width: "minmax(10rem, 1fr)",
    isSortable: true,
    cell: (model) => <Link href={href(model)}>{model.name}</Link>,
  },
  { key: "id", head: "Id", width: "8.5rem", cell: (model) => <Id value={model.model_id} /> },
  number("positions", "Securities", (model) => count(model.positions.length)),
  number("sum", "Targets %", (model) => String(toPercent(sumOf(model.positions)))),
  number("followers", "Followers", (model) => count(model.portfolios.length)),
  number("version", "Version", (model) => count(model.version)),
  {
    key: "last_rebalance_date",
    head: "Last rebalance",
    width: "11.5rem",
    isSortable: true,
    cell: (model) => <Time value={model.last_rebalance_date} />,
  },
];

function number(key: string, head: string, cell: (model: Model) => string): Column<Model> {
  return { key, head, width: "6rem", isNumber: true, cell };
}

export function ModelsPage() {
  const search = useSearch();
  const [, navigate] = useLocation();
  const { page = "1", sort_by = "" } = readFilters(search, ["page", "sort_by"]);
  const place = Math.max(1, Number.parseInt(page, 10) || 1);
  const models = useResource(`models ${place} ${sort_by}`, (signal) =>
    list("/api/v1/models", { query: { offset: (place - 1) * ROWS, limit: ROWS, sort_by }, signal }),
  );
  const [current, setCurrent] = useState(-1);
  const row = models.value?.rows[current];
  useEditKey(row && href(row));
  const change = (changes: Record<string, string>) =>
    navigate(withFilters("/models", search, changes));
  return (
    <Page title="Models" meta={<span class="muted">{count(models.value?.total)} in all</span>}>
      <Loaded of={models} lines={8}>
        {({ rows, total }) =>
          total === 0 ? (
            <Empty>
              No model yet. <code>ordergen model add</code> or POST /api/v1/models stores one.
            </Empty>
          ) : (
            <>
              <Grid
                label="Models"
                columns={COLUMNS}
                total={rows.length}
                rowAt={(index) => rows[index]}
                keyOf={(model) => model.model_id}
                href={href}
                current={current}
                onCurrent={setCurrent}
                sort={sort_by}
                onSort={(sort) => change({ sort_by: sort, page: "" })}
              />
              <Pager
                place={place}
                rows={ROWS}
                total={total}
                onTurn={(to) => change({ page: to })}
              />
            </>
          )
        }
      </Loaded>
    </Page>
  );
}
