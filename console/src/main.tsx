import { render } from "preact";
import { useLayoutEffect } from "preact/hooks";
import { Route, Router, Switch, useLocation } from "wouter-preact";
import { origins } from "./back_navigation.ts";
import { listen } from "./keys.ts";
import { aroundNav, BACK } from "./navigation.ts";
import { BookPage } from "./pages/book.tsx";
import { ComparePage } from "./pages/compare.tsx";
import { HistoryPage } from "./pages/history.tsx";
import { ModelPage } from "./pages/model.tsx";
import { ModelsPage } from "./pages/models.tsx";
import { OrdersPage, RebalanceOrdersPage } from "./pages/orders.tsx";
import { PortfolioPage } from "./pages/portfolio.tsx";
import { RebalancePage } from "./pages/rebalance.tsx";
import { ReviewPage } from "./pages/review.tsx";
import { ReviewsPage } from "./pages/reviews.tsx";
import { RunPage } from "./pages/run.tsx";
import { RunsPage } from "./pages/runs.tsx";
import { SystemPage } from "./pages/system.tsx";
import { TodayPage } from "./pages/today.tsx";
import { UploadPage } from "./pages/upload.tsx";
import { Shell } from "./shell.tsx";
import { Gate } from "./sign_in.tsx";
import { showTheme } from "./theme.ts";
import "./style.css";

function Console() {
  const [, navigate] = useLocation();
  useLayoutEffect(() => {
    const goBack = () => {
      const to = origins.take(location.pathname);
      if (to) navigate(`~${to}`, { state: BACK });
    };
    return listen(navigate, goBack);
  }, [navigate]);
  return (
    <Shell>
      <Gate>
        <Switch>
          <Route path="/runs/:id">{({ id }) => <RunPage key={id} id={id} />}</Route>
          <Route path="/rebalance/:id/portfolio/:portfolio">
            {({ id, portfolio }) => (
              <PortfolioPage key={`${id} ${portfolio}`} id={id} portfolioId={portfolio} />
            )}
          </Route>
          <Route path="/rebalance/:id">{({ id }) => <RebalancePage key={id} id={id} />}</Route>
          <Route path="/rebalance/:id/compare">
            {({ id }) => <ComparePage key={id} id={id} />}
          </Route>
          <Route path="/rebalance/:id/orders">
            {({ id }) => <RebalanceOrdersPage key={id} id={id} />}
          </Route>
          <Route path="/review/:id">{({ id }) => <ReviewPage key={id} id={id} />}</Route>
          <Route path="/review" component={ReviewsPage} />
          <Route path="/orders" component={OrdersPage} />
          <Route path="/history" component={HistoryPage} />
          <Route path="/system" component={SystemPage} />
          <Route path="/book" component={BookPage} />
          <Route path="/models" component={ModelsPage} />
          <Route path="/model/:id">{({ id }) => <ModelPage key={id} id={id} />}</Route>
          <Route path="/runs" component={RunsPage} />
          <Route path="/upload" component={UploadPage} />
          <Route path="/" component={TodayPage} />
          <Route>
            <main id="main">
              <h1>No such page</h1>
              <p>The address names no page of the console.</p>
            </main>
          </Route>
        </Switch>
      </Gate>
    </Shell>
  );
}

showTheme();
const root = document.getElementById("console");
if (root) {
  render(
    <Router base="/console" aroundNav={aroundNav}>
      <Console />
    </Router>,
    root,
  );
}
