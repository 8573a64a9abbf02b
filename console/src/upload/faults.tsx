/** What is wrong with the files: the place of each fault, the value and the rule. */

import type { ServiceError } from "../api.ts";
import { count } from "../format.ts";
import { type Column, Grid } from "../lists/grid.tsx";
import { Problem, Section } from "../parts.tsx";
import { type Fault, faultsOf } from "./solving.ts";

const COLUMNS: Column<Fault>[] = [
  { key: "file", head: "File", width: "minmax(8rem, 14rem)", cell: (row) => row.file },
  { key: "sheet", head: "Sheet", width: "7rem", cell: (row) => row.sheet },
  {
    key: "row",
    head: "Row",
    width: "5rem",
    isNumber: true,
    cell: (row) => row.row && count(row.row),
  },
  { key: "column", head: "Column", width: "9rem", cell: (row) => row.column },
  { key: "value", head: "Value", width: "9rem", cell: (row) => <code>{row.value}</code> },
  {
    key: "rule",
    head: "Rule",
    width: "minmax(14rem, 2fr)",
    cell: (row) => <span title={row.detail}>{row.detail}</span>,
  },
];

export function Faults({ error }: { error: ServiceError }) {
  const faults = faultsOf(error).filter((each) => each.file);
  if (!faults.length) return <Problem error={error} />;
  const omitted = Number(error.problem["errors_omitted"] ?? 0);
  const note = `${count(faults.length + omitted)}${omitted ? `, the first ${faults.length} of them` : ""}`;
  return (
    <Section title="Faults in the files" note={note}>
      <p role="alert">Nothing was solved. Correct the files and drop them again.</p>
      <Grid
        label="Faults in the files"
        columns={COLUMNS}
        total={faults.length}
        rowAt={(index) => faults[index]}
      />
    </Section>
  );
}
