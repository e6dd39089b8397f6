{#-
  At the start of a run: settings of the server without which it takes many times as long as with them, for the role
  and the database of the target. A role may set them for itself; they hold from the next connection on, which is that
  of the models of this run. Only PostgreSQL has, and needs, any.

    jit = off               it compiles a statement to machine code where it expects much work; for statements with
                            hundreds of expressions that takes far longer than to run them
    enable_nestloop = off   it expects one row of a union of many selects, where there are thousands, and compares all
                            with all; so a loop is what it takes where nothing else will do
-#}
{% macro planner_settings() %}{{ return(adapter.dispatch('planner_settings', 'user_segments')()) }}{% endmacro %}

{% macro default__planner_settings() %}{% endmacro %}

{% macro postgres__planner_settings() %}
    {%- for name in ['jit', 'enable_nestloop']
        if execute and run_query("select current_setting('" ~ name ~ "')").rows[0][0] != 'off' %}
    alter role current_user in database {{ adapter.quote(target.database) }} set {{ name }} = off;
    {%- endfor -%}
{% endmacro %}
