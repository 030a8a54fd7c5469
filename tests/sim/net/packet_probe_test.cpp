#include <gtest/gtest.h>
#include <cstdio>
#include "tests/support/packet_run.h"
#include "tests/support/random_network.h"
#include "tests/support/net_workload.h"
namespace moesim { namespace {
const char* kAll[]={"window","credit","dcqcn"};
FlowProblem dumbbell(int n, Bytes b, double mid=50, Duration lat=500_ns){
  FlowProblem p; 
  p.links.push_back({Rate{mid*1e9},lat});
  for(int i=0;i<n;++i){ p.links.push_back({50_GBps,lat}); p.links.push_back({50_GBps,lat});
   p.flows.push_back({{LinkId(1+2*i),LinkId(0),LinkId(2+2*i)},b,{}});}
  return p; }
FlowProblem incast(int n, Bytes b){
  FlowProblem p; p.links.push_back({50_GBps,500_ns}); p.links.push_back({Rate{50e9*100},500_ns});
  for(int i=0;i<n;++i){ p.links.push_back({50_GBps,500_ns}); p.links.push_back({50_GBps,500_ns});
   p.flows.push_back({{LinkId(2+2*i),LinkId(3+2*i),LinkId(0)},b,{}});}
  return p; }
FlowProblem parking(int n, Bytes b){ // chain of n links; own host links each
  FlowProblem p; for(int i=0;i<n;++i) p.links.push_back({50_GBps,500_ns});
  auto host=[&](Duration lat){ p.links.push_back({50_GBps,lat}); return LinkId(p.links.size()-1);};
  std::vector<LinkId> path{host(500_ns)}; for(int i=0;i<n;++i) path.push_back(LinkId(i)); path.push_back(host(500_ns));
  p.flows.push_back({path,b,{}});
  for(int i=0;i<n;++i){ LinkId up=host(500_ns+ (n-1)*250_ns), down=host(500_ns+(n-1)*250_ns); p.flows.push_back({{up,LinkId(i),down},b,{}});}
  return p; }
void show(const char*what,const FlowProblem&p){
  FlowTimes f=solve_flows(p,Fidelity::flow);
  for(auto t:kAll){ PacketRun r(p,with_transport(t)); EXPECT_EQ(r.finished,p.flows.size());
    double lo=9,hi=0; for(size_t i=0;i<r.finish.size();++i){double x=ratio(r.finish[i],f.finish[i]); lo=std::min(lo,x);hi=std::max(hi,x);}
    auto q=r.network.queueing();
    std::printf("%-24s %-8s makespan ratio %.4f  flows %.4f..%.4f drops %ld trims %ld marks %ld qmax %ld retx %ld\n",what,t,ratio(r.makespan(),f.makespan),lo,hi,(long)q.drops,(long)q.trims,(long)q.marks,(long)q.queue_max.count/1024,(long)q.retransmitted.count);
  } }
TEST(Probe, All){
  show("one", dumbbell(1,Bytes{262144}));
  show("one 4M", dumbbell(1,4_MiB));
  show("one 4M mid 25", dumbbell(1,4_MiB,25));
  show("one 4M mid 100", dumbbell(1,4_MiB,100));
  show("dumbbell 2 x 4M", dumbbell(2,4_MiB));
  show("dumbbell 4 x 4M", dumbbell(4,4_MiB));
  show("dumbbell 4 x 64M", dumbbell(4,64_MiB));
  show("dumbbell 8 x 16M", dumbbell(8,16_MiB));
  show("dumbbell 16 x 16M", dumbbell(16,16_MiB));
  show("parking 2 16M", parking(2,16_MiB));
  show("parking 3 16M", parking(3,16_MiB));
  show("parking 3 64M", parking(3,64_MiB));
  show("incast 4 4M", incast(4,4_MiB));
  show("incast 8 1M", incast(8,1_MiB));
  show("incast 32 1M", incast(32,1_MiB));
  show("incast 63 256K", incast(63,256_KiB));
  show("ep", expert_parallel_workload(1));
  show("a2a hash", a2a_workload(LeafSpine(64,1)));
  show("a2a hash 2:1", a2a_workload(LeafSpine(64,2)));
  show("zipf hash", zipf_workload(LeafSpine(64,1)));
}
TEST(Probe, DISABLED_Random){
  for_each_seed(200,[&](Rng& rng){
    FlowProblem p=random_problem(rng,12,30);
    for(auto t:kAll){ PacketOptions o=with_transport(t); o.buffer=Bytes{o.mtu.count*rng.between(1,4)}; o.loss_rate=rng.uniform()<0.5?0:0.3*rng.uniform(); o.mark_from=o.mark_all=Bytes{};
     SCOPED_TRACE(t); fprintf(stderr,"%s buf %ld loss %g flows %zu ",t,(long)o.buffer.count,o.loss_rate,p.flows.size());
     PacketRun r(p,o); EXPECT_EQ(r.finished,p.flows.size()); EXPECT_EQ(r.sim.pending(),0u);fprintf(stderr,"%ld events %g s\n",(long)r.sim.events(),r.makespan().seconds());
     std::vector<int64_t> want(p.links.size()); for(auto&f:p.flows) for(auto l:f.path) want[index(l)]+=f.bytes.count;
     for(size_t l=0;l<want.size();++l) EXPECT_EQ(r.network.use(LinkId(l)).carried.count,want[l]);
    }});
}
}}
