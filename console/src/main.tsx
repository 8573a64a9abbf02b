import { render } from "preact";
import { useEffect } from "preact/hooks";
import { Redirect, Route, Router, Switch, useLocation } from "wouter-preact";
import { listen } from "./keys.ts";
import { RunPage } from "./pages/run.tsx";
import { RunsPage } from "./pages/runs.tsx";
import { Shell } from "./shell.tsx";
import { showTheme } from "./theme.ts";
import "./style.css";

function Console() {
  const [, navigate] = useLocation();
  useEffect(() => listen(navigate), [navigate]);
  return (
    <Shell>
      <Switch>
        <Route path="/runs/:id">{({ id }) => <RunPage key={id} id={id} />}</Route>
        <Route path="/runs" component={RunsPage} />
        <Route path="/">
          <Redirect to="/runs" replace />
        </Route>
        <Route>
          <main id="main">
            <h1>No such page</h1>
            <p>The address names no page of the console.</p>
          </main>
        </Route>
      </Switch>
    </Shell>
  );
}

showTheme();
const root = document.getElementById("console");
if (root) {
  render(
    <Router base="/console">
      <Console />
    </Router>,
    root,
  );
}
